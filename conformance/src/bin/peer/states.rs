//! Commands on dictionaries and lists, one for each operation.

use perper::{Dictionary, List};
use perper_values::Value;
use serde_json::{Value as Json, json};

use crate::{
    answer::Failed,
    commands::{index, json_all, json_of, reference, value},
};
use perper_conformance::to_json;

/// `None` if the name is none of these.
pub(crate) async fn execute(name: &str, command: &Json) -> Result<Option<Json>, Failed> {
    let answer = match name {
        "state" => json_of(&perper::state()?)?,
        "create_dictionary" => {
            let mut builder = perper::dictionary();
            if let Some(name) = command["name"].as_str() {
                builder = builder.named(name);
            }
            if command["detached"].as_bool() == Some(true) {
                builder = builder.detached();
            }
            json_of(&builder.create().await?)?
        }
        "create_list" => {
            let mut builder = perper::list();
            if let Some(name) = command["name"].as_str() {
                builder = builder.named(name);
            }
            if command["detached"].as_bool() == Some(true) {
                builder = builder.detached();
            }
            json_of(&builder.create().await?)?
        }
        "dictionary" => dictionary(command).await?,
        "list" => list(command).await?,
        _ => return Ok(None),
    };
    Ok(Some(answer))
}

async fn dictionary(command: &Json) -> Result<Json, Failed> {
    let of: Dictionary = reference(command, "dictionary")?;
    let operation = command["operation"].as_str().unwrap_or_default();
    let (key, new, expected) =
        (value(command, "key")?, value(command, "value")?, value(command, "expected")?);
    Ok(match operation {
        "get" => json_option(of.get(key).await?),
        "set" => {
            of.set(key, &new).await?;
            Json::Null
        }
        "set_if_absent" => json!(of.set_if_absent(key, &new).await?),
        "replace_if_equal" => json!(of.replace_if_equal(key, &expected, &new).await?),
        "get_and_replace" => json_option(of.get_and_replace(key, &new).await?),
        "get_and_remove" => json_option(of.get_and_remove(key).await?),
        "remove" => json!(of.remove(key).await?),
        "remove_if_equal" => json!(of.remove_if_equal(key, &expected).await?),
        "contains" => json!(of.contains(key).await?),
        "count" => json!(of.count().await?),
        "entries" => {
            let entries: Vec<(Value, Value)> = of.entries().collect().await?;
            entries.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect()
        }
        "batch" => json!(batch(&of, command).await?),
        "clear" => {
            of.clear().await?;
            Json::Null
        }
        "destroy" => {
            of.destroy().await?;
            Json::Null
        }
        _ => return Err(Failed::command(format!("a dictionary has no operation {operation:?}"))),
    })
}

/// Whole or not at all.
async fn batch(of: &Dictionary, command: &Json) -> Result<bool, Failed> {
    let mut batch = of.batch();
    for step in command["operations"].as_array().into_iter().flatten() {
        let (key, new, expected) = (value(step, "key")?, value(step, "value")?, value(step, "expected")?);
        batch = match step["operation"].as_str().unwrap_or_default() {
            "set" => batch.set(key, &new),
            "set_if_absent" => batch.set_if_absent(key, &new),
            "replace_if_equal" => batch.replace_if_equal(key, &expected, &new),
            "remove" => batch.remove(key),
            "remove_if_equal" => batch.remove_if_equal(key, &expected),
            operation => return Err(Failed::command(format!("a batch has no operation {operation:?}"))),
        };
    }
    Ok(batch.apply().await?)
}

async fn list(command: &Json) -> Result<Json, Failed> {
    let of: List = reference(command, "list")?;
    let operation = command["operation"].as_str().unwrap_or_default();
    let element = value(command, "value")?;
    let at = || index(command, "index");
    Ok(match operation {
        "add" => json!(of.add(&element).await?),
        "pop" => json_option(of.pop().await?),
        "dequeue" => json_option(of.dequeue().await?),
        "insert_at" => {
            of.insert_at(at()?, &element).await?;
            Json::Null
        }
        "remove_at" => to_json(&of.remove_at(at()?).await?),
        "get_at" => to_json(&of.get_at(at()?).await?),
        "set_at" => {
            of.set_at(at()?, &element).await?;
            Json::Null
        }
        "index_of" => json!(of.index_of(&element).await?),
        "contains" => json!(of.contains(&element).await?),
        "remove" => json!(of.remove(&element).await?),
        "count" => json!(of.count().await?),
        "elements" => json_all(of.elements().collect().await?),
        "clear" => {
            of.clear().await?;
            Json::Null
        }
        "destroy" => {
            of.destroy().await?;
            Json::Null
        }
        _ => return Err(Failed::command(format!("a list has no operation {operation:?}"))),
    })
}

fn json_option(value: Option<Value>) -> Json {
    value.as_ref().map_or(Json::Null, to_json)
}
