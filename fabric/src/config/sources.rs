//! Where settings come from: the file, the environment, the flags; the later, the stronger.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::de::{DeTable, DeValue};

use super::Config;
use super::error::{ConfigError, Origin, Problem};
use super::settings::{Draft, SETTINGS, Setting};

/// What the names of our environment variables begin with.
const PREFIX: &str = "PERPER_FABRIC_";

/// The name of the setting that names the file; it cannot be in the file itself.
pub(super) const CONFIG: &str = "config";

/// The environment of a process, as strings: tests bring their own and leave the real one alone.
pub trait Environment {
    /// Every variable.
    fn variables(&self) -> Vec<(OsString, OsString)>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }
}

impl Environment for &[(&str, &str)] {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// One setting as one source gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// A configuration, and where each setting in it comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
    draft: Draft,
}

impl Loaded {
    /// The configuration as a file would give it, with the origin of each setting beside it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for setting in SETTINGS {
            let value = (setting.show)(&self.draft);
            let origin = self.origins.get(setting.name);
            let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
            let (comment, value) = match value {
                value if value.is_empty() => ("# ", String::new()),
                value if value.parse::<u64>().is_ok() || setting.is_switch() => ("", value),
                value => ("", quote(&value)),
            };
            text.push_str(&format!("{comment}{} = {value}  # {origin}\n", setting.name));
        }
        text
    }
}

/// A basic string of TOML.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Puts the sources together, the file's settings below those of the environment below those of the flags.
pub(super) fn load(flags: Vec<Given>, environment: &dyn Environment) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let environment = read_environment(environment, &mut problems);
    let mut given = Vec::new();
    let (files, settings): (Vec<_>, Vec<_>) =
        environment.into_iter().chain(flags).partition(|given| given.name == CONFIG);
    if let Some(file) = files.into_iter().next_back().filter(|file| !file.value.is_empty()) {
        match std::fs::read_to_string(&file.value) {
            Ok(text) => given.extend(read_file(&file.value, &text, &mut problems)),
            Err(error) => problems.push(problem(&file, format!("the file cannot be read: {error}"))),
        }
    }
    given.extend(settings);
    combine(given, problems)
}

fn combine(given: Vec<Given>, mut problems: Vec<Problem>) -> Result<Loaded, ConfigError> {
    let mut draft = Draft::default();
    let mut origins = BTreeMap::new();
    for given in given {
        match Setting::find(&given.name) {
            None => {
                problems.push(Problem {
                    value: None,
                    ..problem(&given, unknown(&given.name, |name| name.to_owned()))
                });
            }
            Some(setting) => match (setting.set)(&mut draft, given.value.trim()) {
                Ok(()) => {
                    origins.insert(setting.name, given.origin);
                }
                Err(message) => problems.push(problem(&given, message)),
            },
        }
    }
    let config = draft.clone().finish().unwrap_or_else(|(name, message)| {
        problems.push(located(name, message.to_owned(), &draft, &origins));
        draft.config.clone()
    });
    // What follows from wrong values says nothing new.
    if problems.is_empty()
        && let Err(error) = config.check()
    {
        problems.extend(error.problems.into_iter().map(|p| located(&p.setting, p.message, &draft, &origins)));
    }
    if problems.is_empty() { Ok(Loaded { config, origins, draft }) } else { Err(ConfigError { problems }) }
}

/// A problem of a setting, wherever that was set.
fn located(name: &str, message: String, draft: &Draft, origins: &BTreeMap<&'static str, Origin>) -> Problem {
    let value = Setting::find(name).map(|setting| (setting.show)(draft));
    Problem {
        setting: name.to_owned(),
        value,
        origin: origins.get(name).cloned().unwrap_or(Origin::Program),
        message,
    }
}

fn problem(given: &Given, message: String) -> Problem {
    Problem {
        setting: given.name.clone(),
        value: Some(given.value.clone()),
        origin: given.origin.clone(),
        message,
    }
}

fn read_environment(environment: &dyn Environment, problems: &mut Vec<Problem>) -> Vec<Given> {
    let mut given = Vec::new();
    for (variable, value) in environment.variables() {
        let Some(variable) = variable.to_str() else { continue };
        let Some(suffix) = variable.strip_prefix(PREFIX) else { continue };
        if suffix == CLIENTS || is_kubernetes_link(suffix) {
            continue;
        }
        let origin = Origin::Environment(variable.to_owned());
        let name = suffix.to_ascii_lowercase().replace('_', "-");
        match value.into_string() {
            Err(value) => problems.push(Problem {
                setting: name,
                value: Some(value.to_string_lossy().into_owned()),
                origin,
                message: "not UTF-8".to_owned(),
            }),
            Ok(_) if Setting::find(&name).is_none() && name != CONFIG => problems.push(Problem {
                message: unknown(&name, variable_name),
                setting: name,
                value: None,
                origin,
            }),
            Ok(value) => given.push(Given { name, value, origin }),
        }
    }
    // The environment has no order; messages should.
    given.sort_by(|a, b| a.name.cmp(&b.name));
    given
}

/// `PERPER_FABRIC_ENDPOINT` tells clients where the Fabric is. A machine that runs both has it, too.
const CLIENTS: &str = "ENDPOINT";

/// Kubernetes gives every pod variables about every service of its namespace, and one called `perper-fabric` makes
/// `PERPER_FABRIC_SERVICE_HOST`, `PERPER_FABRIC_PORT` and so on, which nobody meant as settings.
fn is_kubernetes_link(suffix: &str) -> bool {
    suffix == "PORT" || suffix.starts_with("PORT_") || suffix.starts_with("SERVICE_")
}

/// The environment variable of a setting.
fn variable_name(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn read_file(path: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Given> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let origin = |offset: usize| Origin::File { path: path.to_owned(), line: line(offset) };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            problems.push(Problem {
                setting: CONFIG.to_owned(),
                value: None,
                origin: origin(error.span().map_or(0, |span| span.start)),
                message: format!("not TOML: {}", error.message()),
            });
            return Vec::new();
        }
    };
    let mut given = Vec::new();
    for (name, value) in table {
        let origin = origin(name.span().start);
        let name = name.into_inner().into_owned();
        match value.into_inner() {
            DeValue::String(value) => given.push(Given { name, value: value.into_owned(), origin }),
            DeValue::Integer(value) if value.radix() == 10 => {
                given.push(Given { name, value: value.as_str().to_owned(), origin });
            }
            DeValue::Boolean(value) => given.push(Given { name, value: value.to_string(), origin }),
            other => problems.push(Problem {
                setting: name,
                value: None,
                origin,
                message: format!(
                    "a {} is no value of a setting; give a string, a decimal number, true or false, all at the top level",
                    kind(&other)
                ),
            }),
        }
    }
    given
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Table(_) => "table",
        DeValue::Array(_) => "list",
        DeValue::Float(_) => "fraction",
        DeValue::Datetime(_) => "date",
        _ => "value of this kind",
    }
}

/// There is no such setting; perhaps another one was meant.
fn unknown(name: &str, spell: fn(&str) -> String) -> String {
    let similar = SETTINGS
        .iter()
        .map(|setting| (distance(&name.replace('_', "-"), setting.name), setting.name))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    match similar {
        Some((_, known)) => format!("there is no such setting; did you mean {}?", spell(known)),
        None => "there is no such setting; `perper-fabric --help` lists them".to_owned(),
    }
}

/// How many letters have to be put in, left out or exchanged to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
