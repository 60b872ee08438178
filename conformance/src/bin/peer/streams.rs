//! Commands on streams.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use perper::{Error, ErrorKind, Stream, extensions::DeclaredStream};
use serde_json::{Value as Json, json};

use crate::{
    answer::Failed,
    commands::{json_of, reference, text, value, values},
    sequence::Several,
};

/// Streams that were declared and not started, by id.
static DECLARED: LazyLock<Mutex<HashMap<String, DeclaredStream>>> = LazyLock::new(Mutex::default);

/// `None` if the name is none of these.
pub(crate) async fn execute(name: &str, command: &Json) -> Result<Option<Json>, Failed> {
    let stream = || reference::<Stream>(command, "stream");
    let answer = match name {
        "start_stream" => json_of(&start(command).await?)?,
        "create_blank_stream" => json_of(&create(command).await?)?,
        "declare_stream" => json_of(&declare(command).await?)?,
        "start_declared" => {
            let id = stream()?.stream;
            let declared = DECLARED.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            let declared = declared.ok_or_else(|| Failed::command(format!("{id} was not declared here")))?;
            json_of(&declared.start(Several(values(command, "arguments")?)).await?)?
        }
        "write" => {
            let item = value(command, "item")?;
            match command["key"].as_i64() {
                Some(key) => {
                    stream()?.write_keyed(key, &item).await?;
                    json!(key)
                }
                None => json!(stream()?.write(&item).await?),
            }
        }
        "complete" => {
            match command["failure"].as_str() {
                None => stream()?.complete().await?,
                Some(message) => stream()?.fail(Error::new(ErrorKind::Unknown, message)).await?,
            }
            Json::Null
        }
        "wait_for_listener" => {
            stream()?.wait_for_listener().await?;
            Json::Null
        }
        "remove_listener" => {
            stream()?.remove_listener(&text(command, "name")?).await?;
            Json::Null
        }
        "destroy_stream" => {
            stream()?.destroy().await?;
            Json::Null
        }
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

/// Applies the options that every kind of stream has. The builders are of several types with the same methods.
macro_rules! with_options {
    ($builder:expr, $command:expr) => {{
        let (mut builder, options) = ($builder, &$command["options"]);
        if options["persistent"].as_bool() == Some(true) {
            builder = builder.persistent();
        }
        if let Some(stride) = options["packed"].as_u64() {
            builder = builder.packed(stride);
        }
        if let Some(key) = options["first_key"].as_i64() {
            builder = builder.first_key(key);
        }
        if let Some(items) = options["backlog"].as_u64() {
            builder = builder.backlog(items);
        }
        builder
    }};
}

async fn start(command: &Json) -> Result<Stream, Failed> {
    let mut builder = with_options!(perper::stream(text(command, "delegate")?), command);
    if command["options"]["action"].as_bool() == Some(true) {
        builder = builder.action();
    }
    Ok(builder.start(Several(values(command, "arguments")?)).await?)
}

async fn create(command: &Json) -> Result<Stream, Failed> {
    Ok(with_options!(perper::blank_stream(), command).create().await?)
}

async fn declare(command: &Json) -> Result<Stream, Failed> {
    let declared = with_options!(perper::stream(text(command, "delegate")?), command).declare().await?;
    let stream = declared.stream().clone();
    DECLARED.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.stream.clone(), declared);
    Ok(stream)
}
