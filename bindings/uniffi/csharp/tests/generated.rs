//! The C# that is committed is what the native libraries export now.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

/// Cargo builds the libraries beside this test, since they are dependencies of it.
fn library(name: &str) -> Result<Utf8PathBuf> {
    let test = Utf8PathBuf::try_from(std::env::current_exe()?)?;
    let extension = if cfg!(target_os = "macos") { "dylib" } else { "so" };
    Ok(test.parent().context("the test is in no folder")?.join(format!("lib{name}.{extension}")))
}

fn check(name: &str, namespace: &str, folder: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../dotnet").join(folder);
    let generated = perper_uniffi_csharp::generate(&library(name)?, namespace)?;
    assert_eq!(generated.len(), 2);
    for file in generated {
        let path = folder.join(&file.name);
        let committed = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        assert!(committed == file.content, "{} is stale; run `./dev dotnet generate`", path.display());
    }
    Ok(())
}

#[test]
fn the_committed_code_is_what_would_be_generated() -> Result<()> {
    check("perper_uniffi", "Perper.Protocol.Generated", "src/Perper/Protocol/Generated")?;
    check("perper_uniffi_fixture", "Perper.Tests.Fixture", "tests/Perper.Tests/Fixture")
}

#[test]
fn what_is_no_library_is_refused_by_name() {
    let file = Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let error = perper_uniffi_csharp::generate(&file, "Perper").expect_err("it is no library");
    assert!(format!("{error:#}").contains("Cargo.toml"), "{error:#}");
}
