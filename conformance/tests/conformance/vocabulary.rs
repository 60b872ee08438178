//! Every word that a step may have. A word that is misspelt is found when the scenario is read, rather than never.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value as Json};

/// The commands of peers with their parameters, as `README.md` lists them.
const COMMANDS: [(&str, &[&str]); 24] = [
    ("shut_down", &[]),
    ("hold", &[]),
    ("release", &[]),
    ("call", &["agent", "delegate", "arguments"]),
    ("start_agent", &["agent", "arguments"]),
    ("stop_agent", &["agent"]),
    ("context", &[]),
    ("start_stream", &["delegate", "arguments", "options"]),
    ("create_blank_stream", &["options"]),
    ("declare_stream", &["delegate", "options"]),
    ("start_declared", &["stream", "arguments"]),
    ("write", &["stream", "item", "key"]),
    ("complete", &["stream", "failure"]),
    ("wait_for_listener", &["stream"]),
    ("remove_listener", &["stream", "name"]),
    ("destroy_stream", &["stream"]),
    ("listen", &["stream", "listener", "name", "from"]),
    ("take", &["listener", "count"]),
    ("detach", &["listener"]),
    ("state", &[]),
    ("create_dictionary", &["name", "detached"]),
    ("create_list", &["name", "detached"]),
    ("dictionary", &["dictionary", "operation", "key", "value", "expected", "operations"]),
    ("list", &["list", "operation", "value", "index"]),
];

/// What stands beside any command.
const AROUND: &[&str] = &["do", "timeout", "peer", "in", "start", "as", "expect", "error"];

/// The other steps, by the word that tells them, with the words beside it.
const STEPS: [(&str, &[&str]); 14] = [
    ("finish", &["as", "expect", "error"]),
    ("cancel", &[]),
    ("event", &["peer", "instance", "detail"]),
    ("no_event", &["peer"]),
    ("eventually", &[]),
    ("outside", &["instance", "delegate", "arguments", "headers", "execution", "as", "expect"]),
    ("kill", &[]),
    ("pause", &[]),
    ("resume", &[]),
    ("launch", &[]),
    ("restart", &[]),
    ("network", &[]),
    ("cut", &[]),
    ("for_each", &["steps"]),
];

/// The word that tells what a step of the harness is.
pub(crate) fn verb(step: &Map<String, Json>) -> Result<&'static str> {
    let verb = STEPS.iter().map(|(verb, _)| *verb).find(|verb| step.contains_key(*verb));
    verb.with_context(|| format!("a step has `do`, or one of {:?}", STEPS.map(|(verb, _)| verb)))
}

/// Looks through all steps, those within others included.
pub(crate) fn check(steps: &[Json]) -> Result<()> {
    steps.iter().try_for_each(|step| check_step(step).with_context(|| step.to_string()))
}

fn check_step(step: &Json) -> Result<()> {
    let step = step.as_object().context("a step is an object")?;
    let known = |word: &str, words: &[&str]| {
        ensure!(words.contains(&word), "nobody would read {word:?}; what may stand here: {words:?}");
        Ok(())
    };
    if let Some(command) = step.get("do") {
        let command = command.as_str().context("`do` takes the name of a command")?;
        let (_, parameters) = COMMANDS
            .iter()
            .find(|(name, _)| *name == command)
            .with_context(|| format!("there is no command {command:?}"))?;
        let words = [*parameters, AROUND].concat();
        return step.keys().try_for_each(|word| known(word, &words));
    }
    let verb = verb(step)?;
    let beside = STEPS.iter().find(|(name, _)| *name == verb).map_or(&[][..], |(_, beside)| beside);
    let words = [&[verb], beside].concat();
    step.keys().try_for_each(|word| known(word, &words))?;
    match (verb, &step[verb]) {
        ("eventually", inner) => check(std::slice::from_ref(inner)),
        ("for_each", _) => check(step.get("steps").and_then(Json::as_array).context("for_each has steps")?),
        _ => Ok(()),
    }
}
