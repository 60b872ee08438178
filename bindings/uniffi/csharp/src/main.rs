//! `perper-uniffi-csharp LIBRARY NAMESPACE FOLDER` writes the C# side of a library into a folder; with `--check` it
//! writes nothing and fails if a file there is not what it would write.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = arguments.first().is_some_and(|first| first == "--check");
    if check {
        arguments.remove(0);
    }
    let [library, namespace, folder] = &arguments[..] else {
        bail!("usage: perper-uniffi-csharp [--check] LIBRARY NAMESPACE FOLDER");
    };
    let library = Utf8PathBuf::from(library);
    for file in perper_uniffi_csharp::generate(&library, namespace)? {
        let path = Path::new(folder).join(&file.name);
        if !check {
            fs::create_dir_all(folder)?;
            fs::write(&path, file.content).with_context(|| path.display().to_string())?;
        } else if fs::read_to_string(&path).with_context(|| path.display().to_string())? != file.content {
            bail!("{} is not what the library exports; run `./dev dotnet generate`", path.display());
        }
    }
    Ok(())
}
