//! Commands on listeners, which the harness gives names.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use perper::{Stream, extensions::Entries};
use perper_conformance::to_json;
use perper_values::Value;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Failed, error_json},
    commands::{reference, text},
};

static LISTENERS: LazyLock<Mutex<HashMap<String, Listener>>> = LazyLock::new(Mutex::default);

#[derive(Clone)]
struct Listener {
    entries: Arc<tokio::sync::Mutex<Entries<Value>>>,
    detached: CancellationToken,
}

/// `None` if the name is none of these.
pub(crate) async fn execute(name: &str, command: &Json) -> Result<Option<Json>, Failed> {
    let answer = match name {
        "listen" => listen(command)?,
        "take" => take(command).await?,
        "detach" => {
            let listener = text(command, "listener")?;
            let listener = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&listener);
            json!(listener.map(|listener| listener.detached.cancel()).is_some())
        }
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

fn listen(command: &Json) -> Result<Json, Failed> {
    let mut stream: Stream = reference(command, "stream")?;
    match &command["from"] {
        Json::Null => {}
        Json::String(latest) if latest == "latest" => stream = stream.latest(),
        Json::String(beginning) if beginning == "beginning" => stream = stream.replay_all(),
        from => match from.as_i64() {
            Some(key) => stream = stream.replay(key),
            None => return Err(Failed::command(format!("{from} is nowhere to listen from"))),
        },
    }
    let mut builder = stream.listen();
    if let Some(name) = command["name"].as_str() {
        builder = builder.named(name);
    }
    let listener = Listener {
        entries: Arc::new(tokio::sync::Mutex::new(builder.entries())),
        detached: CancellationToken::new(),
    };
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).insert(text(command, "listener")?, listener);
    Ok(Json::Null)
}

/// Items until there are enough, or until the end, which is told.
async fn take(command: &Json) -> Result<Json, Failed> {
    let name = text(command, "listener")?;
    let listener = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    let Listener { entries, detached } =
        listener.ok_or_else(|| Failed::command(format!("there is no listener {name:?}")))?;
    let mut entries = entries.lock_owned().await;
    let (mut keys, mut items) = (Vec::new(), Vec::new());
    let count = command["count"].as_u64().and_then(|count| usize::try_from(count).ok());
    let end = loop {
        if count == Some(items.len()) {
            break Json::Null;
        }
        let next = tokio::select! {
            biased;
            () = detached.cancelled() => break json!("detached"),
            next = entries.try_next() => next,
        };
        match next {
            Ok(Some((key, item))) => {
                keys.push(key);
                items.push(to_json(&item));
            }
            Ok(None) => break json!("completed"),
            Err(error) => break json!({ "error": error_json(&error) }),
        }
    };
    Ok(json!({ "keys": keys, "items": items, "end": end }))
}
