//! The C# that is committed is what the native library exports now.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

/// Cargo builds the library beside this test, since it is a dependency of it.
fn library() -> Result<Utf8PathBuf> {
    // A reference to the crate, so that it is linked and so built.
    let _ = perper_uniffi::LogLevel::Info;
    let test = Utf8PathBuf::try_from(std::env::current_exe()?)?;
    let name = if cfg!(target_os = "macos") { "libperper_uniffi.dylib" } else { "libperper_uniffi.so" };
    Ok(test.parent().context("the test is in no folder")?.join(name))
}

#[test]
fn the_committed_code_is_what_would_be_generated() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../dotnet/src/Perper/Protocol/Generated");
    let generated = perper_uniffi_csharp::generate(&library()?, "Perper.Protocol.Generated")?;
    assert_eq!(generated.len(), 2);
    for file in generated {
        let path = folder.join(&file.name);
        let committed = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        assert!(committed == file.content, "{} is stale; run `./dev dotnet generate`", path.display());
    }
    Ok(())
}

#[test]
fn what_is_no_library_is_refused_by_name() {
    let file = Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let error = perper_uniffi_csharp::generate(&file, "Perper").expect_err("it is no library");
    assert!(format!("{error:#}").contains("Cargo.toml"), "{error:#}");
}
