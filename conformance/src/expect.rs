//! What a scenario expects, against what came.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};

use crate::from_json;

/// What a scenario has named.
pub type Names = BTreeMap<String, Json>;

/// Puts what is named in the place of each text `$name`.
pub fn resolve(json: &Json, names: &Names) -> Result<Json> {
    Ok(match json {
        Json::String(text) => match text.strip_prefix('$') {
            Some(name) => {
                names.get(name).cloned().with_context(|| format!("nothing is named ${name} here"))?
            }
            None => json.clone(),
        },
        Json::Array(elements) => {
            elements.iter().map(|element| resolve(element, names)).collect::<Result<_>>()?
        }
        Json::Object(object) => {
            if let Some(made) = made(object)? {
                return Ok(made);
            }
            // An element: {$at: [$entry, 0]}.
            if let Some(at) = object.get("$at") {
                let at = resolve(at, names)?;
                let index = at[1].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or_default();
                return at[0].get(index).cloned().with_context(|| format!("there is no element {at}"));
            }
            // A reference with other options: {$with: $stream, start: 5}.
            if let Some(base) = object.get("$with") {
                let mut base = resolve(base, names)?;
                for (name, value) in object.iter().filter(|(name, _)| *name != "$with") {
                    base[name] = resolve(value, names)?;
                }
                return Ok(base);
            }
            let resolved = object.iter().map(|(name, value)| Ok((name.clone(), resolve(value, names)?)));
            Json::Object(resolved.collect::<Result<_>>()?)
        }
        _ => json.clone(),
    })
}

/// Values too large to be written down: `{$repeat: text, times: 2000}`, `{$range: [0, 1000]}`, and `{$nest: 20}`, arrays
/// in arrays.
fn made(object: &serde_json::Map<String, Json>) -> Result<Option<Json>> {
    let number = |json: &Json| json.as_u64().and_then(|number| usize::try_from(number).ok());
    if let Some(text) = object.get("$repeat") {
        let times = object.get("times").and_then(number).context("$repeat has a number of times")?;
        return Ok(Some(json!(text.as_str().context("$repeat takes text")?.repeat(times))));
    }
    if let Some(range) = object.get("$range") {
        let [from, to] =
            serde_json::from_value::<[i64; 2]>(range.clone()).context("$range takes two integers")?;
        return Ok(Some((from..to).map(|number| json!(number)).collect()));
    }
    if let Some(depth) = object.get("$nest") {
        let depth = number(depth).context("$nest takes a depth")?;
        return Ok(Some((0..depth).fold(json!(1), |inner, _| json!([inner]))));
    }
    Ok(None)
}

/// Compares, by the equality of values; names what `{$as: name}` stands for.
pub fn check(expected: &Json, found: &Json, names: &mut Names) -> Result<()> {
    compare(expected, found, names, &mut String::from("it"))
}

fn compare(expected: &Json, found: &Json, names: &mut Names, path: &mut String) -> Result<()> {
    if let Some(pattern) = Pattern::of(expected)? {
        return pattern.check(found, names).with_context(|| format!("{path} is {found}"));
    }
    match (expected, found) {
        (Json::Array(wanted), Json::Array(got)) if has_pattern(expected) => {
            ensure!(
                wanted.len() == got.len(),
                "{path} has {} elements, not {}: {found}",
                got.len(),
                wanted.len()
            );
            for (index, (wanted, got)) in wanted.iter().zip(got).enumerate() {
                within(path, &format!("[{index}]"), |path| compare(wanted, got, names, path))?;
            }
            Ok(())
        }
        (Json::Object(wanted), Json::Object(got)) if has_pattern(expected) => {
            if let Some(surplus) = got.keys().find(|name| !wanted.contains_key(*name)) {
                bail!("{path} has {surplus:?}, which is not expected: {found}");
            }
            for (name, wanted) in wanted {
                let got = got.get(name).with_context(|| format!("{path} has no {name:?}: {found}"))?;
                within(path, &format!(".{name}"), |path| compare(wanted, got, names, path))?;
            }
            Ok(())
        }
        _ => {
            let equal =
                from_json(expected)? == from_json(found).with_context(|| format!("{path} is {found}"))?;
            ensure!(equal, "{path} is\n    {found}\n  and not\n    {expected}");
            Ok(())
        }
    }
}

fn within<T>(path: &mut String, part: &str, check: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(part);
    let checked = check(path);
    path.truncate(length);
    checked
}

enum Pattern<'a> {
    /// Anything at all.
    Any,
    /// Anything, to be known by that name from now on.
    As(&'a str),
    /// A text with this in it.
    Contains(&'a str),
    /// A text that is JSON, with this in it.
    Json(&'a Json),
    /// A number in a range, both ends included.
    Between(f64, f64),
    /// An array of so many.
    Length(u64),
    /// These elements, in any order.
    Unordered(&'a [Json]),
    /// An object with at least these members.
    With(&'a Json),
}

impl<'a> Pattern<'a> {
    fn of(json: &'a Json) -> Result<Option<Self>> {
        let Some(object) = json.as_object().filter(|object| object.len() == 1) else { return Ok(None) };
        let Some((name, content)) = object.iter().next() else { return Ok(None) };
        Ok(Some(match (name.as_str(), content) {
            ("$any", _) => Pattern::Any,
            ("$as", Json::String(name)) => Pattern::As(name),
            ("$contains", Json::String(part)) => Pattern::Contains(part),
            ("$json", content) => Pattern::Json(content),
            ("$between", Json::Array(range)) => match &range[..] {
                [low, high] => {
                    let end = |end: &Json| end.as_f64().with_context(|| format!("{end} is no number"));
                    Pattern::Between(end(low)?, end(high)?)
                }
                _ => bail!("$between takes two numbers, not {content}"),
            },
            ("$length", length) => Pattern::Length(length.as_u64().context("$length takes a number")?),
            ("$unordered", Json::Array(elements)) => Pattern::Unordered(elements),
            ("$has", members) => Pattern::With(members),
            _ => return Ok(None),
        }))
    }

    fn check(&self, found: &Json, names: &mut Names) -> Result<()> {
        match self {
            Pattern::Any => {}
            Pattern::As(name) => _ = names.insert((*name).to_owned(), found.clone()),
            Pattern::Contains(part) => {
                let text = found.as_str().context("no text")?;
                ensure!(text.contains(part), "it does not contain {part:?}");
            }
            Pattern::Json(content) => {
                let inner: Json = serde_json::from_str(found.as_str().context("no text")?)?;
                // What a command within gave stands in its answer.
                compare(
                    content,
                    inner.get("ok").unwrap_or(&inner),
                    names,
                    &mut String::from("what it says"),
                )?;
            }
            Pattern::Between(low, high) => {
                let number = found.as_f64().or_else(|| found["$float"].as_str()?.parse().ok());
                let number = number.context("no number")?;
                ensure!((*low..=*high).contains(&number), "it is not between {low} and {high}");
            }
            Pattern::Length(length) => {
                let got = found.as_array().context("no array")?.len();
                ensure!(got as u64 == *length, "it has {got} elements, not {length}");
            }
            Pattern::Unordered(elements) => {
                let set = |elements: &[Json]| from_json(&json!({ "$set": elements }));
                let got = found.as_array().context("no array")?;
                // A set holds what is in it once, so count as well.
                ensure!(
                    got.len() == elements.len() && set(elements)? == set(got)?,
                    "it does not hold {elements:?}"
                );
            }
            Pattern::With(members) => {
                for (name, wanted) in members.as_object().context("$has takes an object")? {
                    let got = found.get(name).with_context(|| format!("it has no {name:?}"))?;
                    compare(wanted, got, names, &mut format!("its {name:?}"))?;
                }
            }
        }
        Ok(())
    }
}

fn has_pattern(json: &Json) -> bool {
    match json {
        Json::Array(elements) => elements.iter().any(has_pattern),
        Json::Object(object) => matches!(Pattern::of(json), Ok(Some(_))) || object.values().any(has_pattern),
        _ => false,
    }
}

#[cfg(test)]
#[path = "expect_tests.rs"]
mod tests;
