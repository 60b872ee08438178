//! A step: a command with the words around it that are the harness's.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value as Json};

/// What a step may say beside the command itself.
const WORDS: [&str; 6] = ["peer", "in", "start", "as", "expect", "error"];

/// A command for a peer.
#[derive(Debug)]
pub(crate) struct CommandStep {
    /// The command as it is sent, names not yet resolved.
    pub(crate) command: Json,
    /// Who executes it; the caller unless said otherwise.
    pub(crate) peer: String,
    /// In a handler of this instance, wherever that is served.
    pub(crate) within: Option<Json>,
    /// Let it go on under this name.
    pub(crate) start: Option<String>,
    pub(crate) outcome: Outcome,
}

/// What is to come of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The name of the result from now on.
    pub(crate) name: Option<String>,
    pub(crate) expect: Option<Json>,
    /// It must fail, with at least these.
    pub(crate) error: Option<Json>,
}

impl Outcome {
    pub(crate) fn of(step: &Map<String, Json>) -> Result<Self> {
        let name = step.get("as").map(|name| text("as", name)).transpose()?;
        let (expect, error) = (step.get("expect").cloned(), step.get("error").cloned());
        if error.is_some() && (expect.is_some() || name.is_some()) {
            bail!("what fails has no result to expect or to name");
        }
        Ok(Outcome { name, expect, error })
    }
}

impl CommandStep {
    pub(crate) fn of(step: &Map<String, Json>) -> Result<Self> {
        let command = step.iter().filter(|(name, _)| !WORDS.contains(&name.as_str()));
        let optional = |name: &str| step.get(name).map(|value| text(name, value)).transpose();
        Ok(CommandStep {
            command: Json::Object(command.map(|(name, value)| (name.clone(), value.clone())).collect()),
            peer: optional("peer")?.unwrap_or_else(|| "caller".to_owned()),
            within: step.get("in").cloned(),
            start: optional("start")?,
            outcome: Outcome::of(step)?,
        })
    }
}

pub(crate) fn text(name: &str, json: &Json) -> Result<String> {
    Ok(json.as_str().with_context(|| format!("{name:?} takes text, not {json}"))?.to_owned())
}
