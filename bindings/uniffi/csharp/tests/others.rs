//! uniffi's own generators take the facade: nothing in it is peculiar to .NET.

use std::fs;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

/// Cargo builds the library beside this test, since it is a dependency of it.
fn library() -> Result<Utf8PathBuf> {
    let test = Utf8PathBuf::try_from(std::env::current_exe()?)?;
    let extension = if cfg!(target_os = "macos") { "dylib" } else { "so" };
    Ok(test.parent().context("the test is in no folder")?.join(format!("libperper_uniffi.{extension}")))
}

/// Everything that a generator writes, as one text.
fn generated(language: TargetLanguage, extension: &str) -> Result<String> {
    let folder = Utf8PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("generated-{extension}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    generate(GenerateOptions {
        languages: vec![language],
        source: library()?,
        out_dir: folder.clone(),
        ..GenerateOptions::default()
    })?;
    let mut text = String::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(extension) {
                text += &fs::read_to_string(path)?;
            }
        }
    }
    Ok(text)
}

fn check(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "there is no {part} in what was generated");
    }
}

#[test]
fn kotlin() -> Result<()> {
    let text = generated(TargetLanguage::Kotlin, "kt")?;
    check(
        &text,
        &[
            "suspend fun `connect`(`settings`: ConnectSettings)",
            "open class Port",
            "suspend fun `ready`()",
            "fun `drain`(`maxBytes`: kotlin.ULong): kotlin.ByteArray",
            "fun `submit`(`batch`: ",
            "open class EmbeddedFabric",
            "data class ServeSettings",
        ],
    );
    Ok(())
}

#[test]
fn swift() -> Result<()> {
    let text = generated(TargetLanguage::Swift, "swift")?;
    check(
        &text,
        &[
            "func connect(settings: ConnectSettings)async throws",
            "open class Port",
            "func ready()async throws",
            "func drain(maxBytes: UInt64)throws  -> Data",
            "func submit(batch: Data)throws",
            "open class EmbeddedFabric",
            "struct ServeSettings",
        ],
    );
    Ok(())
}
