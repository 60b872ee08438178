//! The languages that take part.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};

/// Restricts a run to some languages while they are developed, separated by commas.
const ONLY: &str = "PERPER_CONFORMANCE_LANGUAGES";

/// How to start peers of a language.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    /// What to do if that fails.
    pub(crate) build: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    command: Vec<String>,
    build: String,
}

/// Reads the registry. Whatever it names must take part, or the environment must say otherwise.
pub(crate) fn load(file: &Path) -> Result<Vec<Language>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let entries: BTreeMap<String, Entry> =
        toml::from_str(&text).with_context(|| file.display().to_string())?;
    let only = std::env::var(ONLY).unwrap_or_default();
    let only: Vec<_> = only.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = only.iter().find(|name| !entries.contains_key(**name)) {
        let known: Vec<_> = entries.keys().collect();
        bail!("{ONLY} names {unknown:?}, which {} does not: it has {known:?}", file.display());
    }
    let languages = entries
        .into_iter()
        .filter(|(name, _)| only.is_empty() || only.contains(&name.as_str()))
        .map(|(name, Entry { command, build })| {
            let command = command.iter().map(|word| word.replace("{rust-peer}", RUST_PEER)).collect();
            Language { name, command, build }
        });
    Ok(languages.collect())
}

/// Cargo builds it before this test.
const RUST_PEER: &str = env!("CARGO_BIN_EXE_perper-conformance-peer");
