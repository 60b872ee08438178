//! The agent that peers serve.

use std::fmt;

use perper::{Agent, AgentBuilder, GeneratorOptions, Rest, Result, Resume, protocol::StreamOptions};
use perper_values::Value;
use serde_json::{Value as Json, json};

use crate::{
    answer::outcome,
    commands, gate, generators,
    output::{self, Cancelled},
    sequence::{Results, Several, results},
};

/// Everything that `README.md` lists, under the name that the environment gives.
pub(crate) fn builder() -> AgentBuilder {
    Agent::builder("")
        .delegate("Echo", async |Rest(values): Rest<Value>| Several(values))
        .delegate("Nothing", async || {})
        .delegate("Join", join)
        .delegate("Buy", buy)
        .delegate("Forward", forward)
        .delegate("Ask", ask)
        .delegate("Wait", wait)
        .delegate("Work", work)
        .delegate("Do", execute)
        .stream("Numbers", generators::numbers)
        .stream("Keyed", generators::keyed)
        .stream("FailAfter", generators::fail_after)
        .stream("Hang", generators::hang)
        .stream("Squares", generators::squares)
        .stream("Bounce", generators::bounce)
        .stream_with("Packed", packed(), generators::packed)
        .stream_with("Resumable", resumable(), generators::gated)
        .stream("ResumableKeyed", generators::gated_keyed)
        .on_deploy(async || output::event("deploy", Json::Null))
        .on_upgrade(async || output::event("upgrade", Json::Null))
        .on_enter(async || output::event("enter", Json::Null))
        .on_start(start)
        .on_stop(async || output::event("stop", Json::Null))
}

fn packed() -> GeneratorOptions {
    let stream = StreamOptions { persistent: true, stride: 1, ..StreamOptions::default() };
    GeneratorOptions { stream, ..GeneratorOptions::default() }
}

fn resumable() -> GeneratorOptions {
    GeneratorOptions { resume: Resume::Skip, ..GeneratorOptions::default() }
}

/// The error that handlers of this agent raise.
#[derive(Debug)]
pub(crate) struct OutOfStock(pub(crate) String);

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} left", self.0)
    }
}

impl std::error::Error for OutOfStock {}

async fn join(first: String, second: Option<String>) -> String {
    format!("{first}+{}", second.as_deref().unwrap_or("default"))
}

async fn buy(what: String) -> Result<(), OutOfStock> {
    Err(OutOfStock(what))
}

/// Calls another delegate of the same instance.
async fn forward(delegate: String, Rest(arguments): Rest<Value>) -> Result<Several> {
    Ok(Several(results(perper::call::<Results>(&delegate, Several(arguments)).await?)))
}

/// Calls a delegate of another instance.
async fn ask(agent: Agent, delegate: String, Rest(arguments): Rest<Value>) -> Result<Several> {
    Ok(Several(results(agent.call::<Results>(&delegate, Several(arguments)).await?)))
}

/// Never ends by itself.
async fn wait() -> Result<()> {
    let _cancelled = Cancelled::new();
    let execution = perper::context()?.execution().map(|execution| execution.execution);
    output::event("running", json!(execution));
    std::future::pending().await
}

/// Waits at the gate, and says who has done it at which attempt.
async fn work() -> Result<(String, u32)> {
    output::event("working", Json::Null);
    gate::pass().await;
    Ok((output::name(), perper::context()?.attempt().unwrap_or_default()))
}

/// Executes a command here, in the context of a handler.
async fn execute(command: String) -> std::result::Result<String, serde_json::Error> {
    let command = serde_json::from_str(&command)?;
    Ok(outcome(commands::execute(&command).await).to_string())
}

async fn start(Rest(arguments): Rest<Value>) -> Result<Several, OutOfStock> {
    output::event("start", Json::Null);
    match &arguments[..] {
        [Value::Text(fail)] if fail == "fail" => Err(OutOfStock("instances".to_owned())),
        _ => Ok(Several(arguments)),
    }
}
