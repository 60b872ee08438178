//! The process: reads commands, has many of them under way, and answers each.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use perper::RunningAgent;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use crate::{
    agent,
    answer::{Failed, outcome},
    commands, gate, output,
};

/// What is under way, by the id of the command.
type UnderWay = Arc<Mutex<HashMap<u64, CancellationToken>>>;

/// Serves the harness until it closes standard input.
pub(crate) async fn run() -> anyhow::Result<()> {
    let under_way = UnderWay::default();
    let serving = Arc::new(tokio::sync::Mutex::new(None));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Json = serde_json::from_str(&line)?;
        let id = command["id"].as_u64().unwrap_or_default();
        let token = CancellationToken::new();
        lock(&under_way).insert(id, token.clone());
        let (under_way, serving) = (under_way.clone(), serving.clone());
        let mut answering = Box::pin(async move {
            let result = tokio::select! {
                result = execute(&command, &under_way, &serving) => result,
                () = token.cancelled() => Err(Failed::cancelled()),
            };
            lock(&under_way).remove(&id);
            let mut answer = outcome(result);
            answer["id"] = json!(id);
            output::line(&answer);
        });
        // Up to where it first waits, before the next one begins: `detach` must not overtake `take`.
        if poll_once(answering.as_mut()).await.is_pending() {
            tokio::spawn(answering);
        }
    }
    Ok(())
}

async fn poll_once(mut future: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// What concerns the process itself; the rest may come from within a handler as well.
async fn execute(
    command: &Json,
    under_way: &UnderWay,
    serving: &tokio::sync::Mutex<Option<RunningAgent>>,
) -> Result<Json, Failed> {
    match command["do"].as_str() {
        Some("connect") => perper::connect().await?,
        Some("serve") => {
            *serving.lock().await = Some(agent::builder().start().await?);
            return Ok(about());
        }
        Some("shut_down") => {
            if let Some(agent) = serving.lock().await.take() {
                agent.shutdown().await?;
            }
            return Ok(Json::Null);
        }
        Some("hold") => {
            gate::hold();
            return Ok(Json::Null);
        }
        Some("release") => {
            gate::release();
            return Ok(Json::Null);
        }
        Some("cancel") => {
            let target = command["target"].as_u64().unwrap_or_default();
            let token = lock(under_way).get(&target).cloned();
            return Ok(json!(token.map(|token| token.cancel()).is_some()));
        }
        _ => return commands::execute(command).await,
    };
    Ok(about())
}

fn about() -> Json {
    json!({ "language": "rust", "version": env!("CARGO_PKG_VERSION") })
}

fn lock(under_way: &UnderWay) -> std::sync::MutexGuard<'_, HashMap<u64, CancellationToken>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}
