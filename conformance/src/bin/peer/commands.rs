//! The commands, each by its name. They run in the current context, that of the process or that of a handler.

use std::time::Duration;

use futures_util::{FutureExt as _, future::BoxFuture};
use perper::{Agent, Context};
use perper_conformance::{from_json, to_json};
use perper_values::Value;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::{
    answer::Failed,
    listeners,
    sequence::{Results, Several, results},
    states, streams,
};

/// Boxed, since a handler may execute a command that calls a handler.
pub(crate) fn execute(command: &Json) -> BoxFuture<'_, Result<Json, Failed>> {
    async move {
        match command["timeout"].as_f64() {
            Some(seconds) => perper::with_timeout(Duration::from_secs_f64(seconds), named(command)).await,
            None => named(command).await,
        }
    }
    .boxed()
}

async fn named(command: &Json) -> Result<Json, Failed> {
    let name = command["do"].as_str().unwrap_or_default();
    match name {
        "call" => call(command).await,
        "start_agent" => {
            let (agent, started): (Agent, Results) =
                perper::start_agent(&text(command, "agent")?, Several(values(command, "arguments")?)).await?;
            Ok(json!({ "agent": json_of(&agent)?, "results": json_all(results(started)) }))
        }
        "stop_agent" => Ok(json!(perper::stop_agent(&reference(command, "agent")?).await?)),
        "context" => describe(&perper::context()?),
        _ => match streams::execute(name, command).await? {
            Some(answer) => Ok(answer),
            None => match listeners::execute(name, command).await? {
                Some(answer) => Ok(answer),
                None => match states::execute(name, command).await? {
                    Some(answer) => Ok(answer),
                    None => Err(Failed::command(format!("this peer has no command {name:?}"))),
                },
            },
        },
    }
}

async fn call(command: &Json) -> Result<Json, Failed> {
    let (delegate, arguments) = (text(command, "delegate")?, Several(values(command, "arguments")?));
    let called: Results = match command.get("agent") {
        Some(_) => perper::call_agent(&reference(command, "agent")?, &delegate, arguments).await?,
        None => perper::call(&delegate, arguments).await?,
    };
    Ok(json_all(results(called)))
}

fn describe(context: &Context) -> Result<Json, Failed> {
    let execution = context.execution().map(|execution| json_of(&execution)).transpose()?;
    Ok(json!({
        "agent": context.agent_name(),
        "instance": context.instance(),
        "execution": execution,
        "attempt": context.attempt(),
        "remaining": context.remaining().map(|remaining| remaining.as_secs_f64()),
        "traceparent": context.traceparent(),
    }))
}

/// A text that must be there.
pub(crate) fn text(command: &Json, name: &str) -> Result<String, Failed> {
    let text = command[name].as_str().map(str::to_owned);
    text.ok_or_else(|| Failed::command(format!("{name:?} is missing, or no text: {command}")))
}

/// A number that must be there.
pub(crate) fn index(command: &Json, name: &str) -> Result<u64, Failed> {
    let number = command[name].as_u64();
    number.ok_or_else(|| Failed::command(format!("{name:?} is missing, or no index: {command}")))
}

/// A value; null if it is not there.
pub(crate) fn value(command: &Json, name: &str) -> Result<Value, Failed> {
    Ok(from_json(&command[name])?)
}

/// An array of values; none if it is not there.
pub(crate) fn values(command: &Json, name: &str) -> Result<Vec<Value>, Failed> {
    match command[name].as_array() {
        Some(values) => values.iter().map(|value| Ok(from_json(value)?)).collect(),
        None => Ok(Vec::new()),
    }
}

/// A reference, such as a stream, as the library has it.
pub(crate) fn reference<T: DeserializeOwned>(command: &Json, name: &str) -> Result<T, Failed> {
    of_value(&value(command, name)?).map_err(|error| Failed::command(format!("{name:?}: {error}")))
}

pub(crate) fn of_value<T: DeserializeOwned>(value: &Value) -> perper_values::Result<T> {
    perper_values::from_slice(&perper_values::encode(value)?)
}

/// Whatever the library has, in the notation.
pub(crate) fn json_of<T: serde::Serialize>(value: &T) -> Result<Json, Failed> {
    let value = perper_values::to_vec(value).and_then(|encoded| perper_values::decode(&encoded));
    Ok(to_json(&value.map_err(perper::Error::from)?))
}

pub(crate) fn json_all(values: Vec<Value>) -> Json {
    values.iter().map(to_json).collect()
}
