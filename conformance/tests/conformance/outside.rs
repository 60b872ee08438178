//! What a scenario does from outside of every language, with the protocol alone.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, Result, bail};
use perper::protocol::{Fabric, NewExecution, Settings};
use perper_conformance::{from_json, to_json};
use serde_json::{Map, Value as Json};

use crate::{peer::AGENT, step::text};

/// Connects for this one thing.
async fn connect(server: SocketAddr) -> Result<Fabric> {
    Ok(Fabric::connect(Settings::default().with_endpoint(format!("http://{server}"))).await?)
}

/// Calls a delegate of an instance, with headers of the scenario's.
async fn call(fabric: &Fabric, step: &Map<String, Json>) -> Result<Json> {
    let field = |name: &str| step.get(name).cloned().unwrap_or_default();
    let headers: BTreeMap<String, String> =
        serde_json::from_value(field("headers")).context("headers are texts")?;
    let arguments = field("arguments");
    let arguments = arguments.as_array().into_iter().flatten();
    let arguments = arguments.map(|argument| Ok(perper_values::encode(&from_json(argument)?)?.into()));
    let execution = NewExecution {
        agent: AGENT.to_owned(),
        instance: text("instance", &field("instance"))?,
        delegate: text("delegate", &field("delegate"))?,
        arguments: arguments.collect::<Result<_>>()?,
        headers,
        ..NewExecution::new(fabric.new_id())
    };
    let results = fabric.call_execution(execution).await?;
    results.iter().map(|result| Ok(to_json(&perper_values::decode(result)?))).collect()
}

/// The step that says `outside`.
pub(crate) async fn execute(server: SocketAddr, step: &Map<String, Json>) -> Result<Json> {
    let fabric = connect(server).await?;
    let result = match step.get("outside").and_then(Json::as_str) {
        Some("call") => call(&fabric, step).await?,
        Some("cancel") => {
            let execution = step.get("execution").cloned().unwrap_or_default();
            fabric.cancel_execution(text("execution", &execution)?).await?;
            Json::Null
        }
        other => bail!("from outside one may call or cancel, not {other:?}"),
    };
    fabric.close().await?;
    Ok(result)
}
