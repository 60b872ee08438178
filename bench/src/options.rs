//! The command line of `perper-bench`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, value_parser};

/// What can be measured alone.
pub const GROUPS: [&str; 5] = ["calls", "items", "state", "memory", "idle"];

/// What to measure, and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `sled` or `fjall`.
    pub store: String,
    /// `memory`, `process` or `sync`.
    pub durability: String,
    /// The size of values.
    pub bytes: usize,
    /// How long each figure is measured.
    pub seconds: f64,
    /// Pending executions, for memory and recovery.
    pub executions: u64,
    /// Idle streams, for memory.
    pub streams: u64,
    /// Bytes written past a listener that does not read.
    pub written: u64,
    /// Some of [`GROUPS`].
    pub only: Vec<String>,
    /// JSON in place of the table.
    pub json: bool,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Measure.
    Bench(Options),
    /// Be a part of a measurement.
    Role(String),
}

impl Options {
    /// Whether a group is asked for.
    pub fn wants(&self, group: &str) -> bool {
        self.only.iter().any(|only| only == group)
    }
}

/// Reads the command line; clap's error says what is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    if let Some(("role", role)) = matches.subcommand() {
        return Ok(Invocation::Role(role.get_one::<String>("json").cloned().unwrap_or_default()));
    }
    Ok(Invocation::Bench(options(&matches)))
}

fn options(matches: &ArgMatches) -> Options {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    let quick = matches.get_flag("quick");
    let either = |full: u64, short: u64| if quick { short } else { full };
    let only = matches.get_many::<String>("only");
    Options {
        store: text("store"),
        durability: text("durability"),
        bytes: usize::try_from(number("bytes").unwrap_or(100)).unwrap_or(usize::MAX),
        seconds: matches.get_one::<f64>("seconds").copied().unwrap_or(if quick { 1.0 } else { 10.0 }),
        executions: number("executions").unwrap_or(either(1_000_000, 10_000)),
        streams: number("streams").unwrap_or(either(100_000, 2_000)),
        written: either(1 << 30, 32 << 20),
        only: only.map_or_else(|| GROUPS.map(str::to_owned).to_vec(), |only| only.cloned().collect()),
        json: matches.get_flag("json"),
    }
}

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    Command::new("perper-bench")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "Measures a Fabric against nothing but tonic on the same machine. The server (perper-fabric next to this \
             program, or the one that PERPER_FABRIC names), callers, workers, writers and listeners are processes of \
             their own.",
        )
        .arg(
            flag("store", "What keeps the data folder")
                .value_parser(PossibleValuesParser::new(["sled", "fjall"]))
                .default_value("sled"),
        )
        .arg(
            flag("durability", "The failure that is survived")
                .value_parser(PossibleValuesParser::new(["memory", "process", "sync"]))
                .default_value("process"),
        )
        .arg(
            flag("bytes", "The size of arguments, items and values")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..=1 << 20))
                .default_value("100"),
        )
        .arg(
            flag("seconds", "How long each figure is measured [default: 10]")
                .value_name("S")
                .value_parser(value_parser!(f64)),
        )
        .arg(
            flag("executions", "Pending executions for memory and recovery [default: 1000000]")
                .value_name("N")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            flag("streams", "Idle streams for memory [default: 100000]")
                .value_name("N")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            flag("only", "Measure only these")
                .value_name("GROUPS")
                .value_delimiter(',')
                .value_parser(PossibleValuesParser::new(GROUPS)),
        )
        .arg(flag("quick", "One second each and small numbers: whether it works").action(ArgAction::SetTrue))
        .arg(flag("json", "Print JSON in place of the table").action(ArgAction::SetTrue))
        .subcommand(Command::new("role").hide(true).arg(Arg::new("json").required(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        let arguments = std::iter::once("perper-bench").chain(arguments.iter().copied()).map(OsString::from);
        match parse(arguments)? {
            Invocation::Bench(options) => Ok(options),
            Invocation::Role(role) => panic!("a role: {role}"),
        }
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn quick_is_small_and_yields_to_what_is_said() {
        let options = parsed(&["--quick", "--streams", "5"]).unwrap();
        assert_eq!((options.seconds, options.executions, options.streams), (1.0, 10_000, 5));
        assert_eq!((options.store.as_str(), options.durability.as_str()), ("sled", "process"));
    }

    #[test]
    fn groups_are_picked() {
        let options = parsed(&["--only", "calls,idle"]).unwrap();
        assert!(options.wants("calls") && options.wants("idle") && !options.wants("memory"));
        assert!(parsed(&["--only", "everything"]).is_err());
        assert!(parsed(&[]).unwrap().wants("memory"));
    }
}
