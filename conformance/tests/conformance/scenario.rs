//! Scenarios as they stand in files.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value as Json;

use crate::vocabulary;

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Its path below `scenarios/`, as `calls::results`.
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) matrix: bool,
    pub(crate) server: ServerPart,
    pub(crate) peers: BTreeMap<String, PeerPart>,
    pub(crate) steps: Vec<Json>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    #[serde(default)]
    matrix: bool,
    #[serde(default)]
    server: ServerPart,
    #[serde(default)]
    peers: BTreeMap<String, PeerPart>,
    steps: Vec<Json>,
}

/// In what the server differs from the default. Times are in seconds.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerPart {
    /// It has a folder, so that it can be restarted.
    pub(crate) durable: bool,
    pub(crate) session_lease: Option<f64>,
    pub(crate) reset_grace: Option<f64>,
    pub(crate) value_bytes: Option<u64>,
    pub(crate) depth: Option<u32>,
}

/// A process.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PeerPart {
    /// It serves the agent; in the language of the callee. The others have that of the caller.
    pub(crate) serve: bool,
    /// It is started by a step, not at the beginning.
    pub(crate) later: bool,
    /// The only instance that it serves, as a scaler would have it; else it serves all.
    pub(crate) instance: Option<String>,
    /// Its gate is closed before it serves.
    pub(crate) held: bool,
    /// It connects through a proxy that can be cut.
    pub(crate) proxy: bool,
}

/// Reads all of them, sorted by name.
pub(crate) fn load(folder: &Path) -> Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for topic in sorted(folder)? {
        for file in sorted(&topic)? {
            let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file)?;
            let parsed = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
            let File { about, matrix, server, mut peers, steps } = parsed;
            vocabulary::check(&steps).with_context(|| file.display().to_string())?;
            peers.entry("caller".to_owned()).or_default();
            peers.entry("callee".to_owned()).or_default().serve = true;
            let name = format!("{}::{}", name(&topic), name(&file));
            scenarios.push(Scenario { name, about, matrix, server, peers, steps });
        }
    }
    ensure!(!scenarios.is_empty(), "{} has no scenarios", folder.display());
    Ok(scenarios)
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
