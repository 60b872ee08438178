//! The file that says how each agent is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::config::parse_time;
use crate::model::{Mode, Restart, Template, Templates};
use crate::{Error, Result};

/// More processes than this of one agent are a slip of the pen.
const MAX_SHARED: u32 = 10_000;

/// How every agent is run, as a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// By agent.
    pub agents: BTreeMap<String, Program>,
}

/// How the processes of an agent are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// Variables beside those that the Scaler has itself.
    pub environment: BTreeMap<String, String>,
    /// How many processes share all instances; none for a process for each.
    pub shared: Option<u32>,
    /// What happens when a process ends by itself.
    pub restart: Restart,
    /// How long a process may take to end before it is killed.
    pub grace: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agents: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    command: Vec<String>,
    #[serde(default)]
    folder: PathBuf,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    shared: Option<u32>,
    #[serde(default)]
    restart: Restart,
    grace: Option<String>,
}

impl Programs {
    /// Reads the file. Paths in it are relative to where it lies.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::template(
                path.display(),
                format!(
                    "the file cannot be read ({error}); --file names the one that says how agents are run"
                ),
            )
        })?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Programs::parse(&text, path.parent().unwrap_or(Path::new(".")))
            .map_err(|message| Error::template(path.display(), message))
    }

    fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let programs = file.agents.into_iter().map(|(agent, entry)| {
            let program = entry.check(base).map_err(|message| format!("agent {agent:?}: {message}"))?;
            Ok((agent, program))
        });
        Ok(Programs { agents: programs.collect::<Result<_, String>>()? })
    }

    /// What the reconciler has to know.
    pub fn templates(&self) -> Templates {
        let templates = self.agents.iter().map(|(agent, program)| {
            let mode = program.shared.map_or(Mode::PerInstance, Mode::Replicas);
            (agent.clone(), Template { mode, restart: program.restart })
        });
        templates.collect()
    }
}

impl Entry {
    fn check(self, base: &Path) -> Result<Program, String> {
        let folder = base.join(&self.folder);
        let mut command = self.command;
        match command.first_mut() {
            None => {
                return Err("the command is empty; give the program and its arguments as a list".to_owned());
            }
            Some(program) if program.is_empty() => {
                return Err("the program of the command is empty".to_owned());
            }
            // Which folder a relative path is looked up in differs from system to system; a bare name is looked up in
            // PATH.
            Some(program) if program.contains('/') => {
                *program = folder.join(&*program).to_string_lossy().into_owned();
            }
            Some(_) => {}
        }
        if let Some(name) = self.environment.keys().find(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            return Err(format!("{name:?} is no name of a variable"));
        }
        if let Some(shared) = self.shared.filter(|shared| *shared > MAX_SHARED) {
            return Err(format!("{shared} processes are too many; {MAX_SHARED} at the most"));
        }
        let grace = match self.grace {
            None => Duration::from_secs(30),
            Some(text) => parse_time(&text).map_err(|message| format!("grace {text:?} is {message}"))?,
        };
        Ok(Program {
            command,
            folder,
            environment: self.environment,
            shared: self.shared,
            restart: self.restart,
            grace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Programs, String> {
        Programs::parse(text, Path::new("/base"))
    }

    #[test]
    fn everything_can_be_said() {
        let text = "
agents:
  Tokenizer:
    command: [bin/wordcount, --agent, Tokenizer]
    folder: app
    environment: {RUST_LOG: debug}
    restart: on-failure
    grace: 5s
  Reader:
    command: [python3, reader.py]
    shared: 2
";
        let programs = parse(text).unwrap();
        let tokenizer = &programs.agents["Tokenizer"];
        assert_eq!(tokenizer.command, ["/base/app/bin/wordcount", "--agent", "Tokenizer"]);
        assert_eq!(tokenizer.folder, Path::new("/base/app"));
        assert_eq!(tokenizer.environment["RUST_LOG"], "debug");
        assert_eq!(tokenizer.grace, Duration::from_secs(5));
        assert_eq!(programs.agents["Reader"].command[0], "python3");
        let templates = programs.templates();
        assert_eq!(templates["Tokenizer"], Template { mode: Mode::PerInstance, restart: Restart::OnFailure });
        assert_eq!(templates["Reader"], Template { mode: Mode::Replicas(2), restart: Restart::Always });
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, complaint) in [
            ("agents: {A: {command: []}}", "agent \"A\": the command is empty"),
            ("agents: {A: {command: ['']}}", "agent \"A\": the program of the command is empty"),
            ("agents: {A: {}}", "command"),
            ("agents: {A: {command: [a], shard: 1}}", "shard"),
            ("agents: {A: {command: [a], shared: 10001}}", "10001 processes are too many"),
            ("agents: {A: {command: [a], shared: -1}}", "-1"),
            ("agents: {A: {command: [a], restart: sometimes}}", "sometimes"),
            ("agents: {A: {command: [a], grace: 5}}", "grace \"5\" is not a time"),
            ("agents: {A: {command: [a], environment: {'a=b': c}}}", "\"a=b\" is no name"),
            ("agents: [", ""),
            ("{}", "agents"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(complaint), "{error:?} of {text:?} does not say {complaint:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Programs::load(Path::new("no/such.yaml")).expect_err("no such file");
        assert!(error.to_string().starts_with("no/such.yaml: the file cannot be read"), "{error}");
    }
}
