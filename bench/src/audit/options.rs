use std::ffi::OsString;

use clap::{Arg, Command, builder::PossibleValuesParser, value_parser};

/// What to audit.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Kills for each store and durability.
    pub kills: u64,
    /// `sled`, `fjall`.
    pub stores: Vec<String>,
    /// `process`, `sync`.
    pub durabilities: Vec<String>,
    /// What the run is made from; the system's own timing is not.
    pub seed: u64,
}

/// Reads the command line; clap's error says what is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let each = |name: &str, all: [&str; 2]| match matches.get_one::<String>(name).map(String::as_str) {
        Some("both") | None => all.map(str::to_owned).to_vec(),
        Some(one) => vec![one.to_owned()],
    };
    Ok(Options {
        kills: matches.get_one::<u64>("kills").copied().unwrap_or(300),
        stores: each("store", ["sled", "fjall"]),
        durabilities: each("durability", ["process", "sync"]),
        seed: matches.get_one::<u64>("seed").copied().unwrap_or_else(rand::random),
    })
}

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    Command::new("perper-audit")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "Kills a server (perper-fabric next to this program, or the one that PERPER_FABRIC names) with kill -9 at \
             random moments under load, and looks whether anything acknowledged is missing or anything is there twice.",
        )
        .after_help("Exit codes: 0 nothing found, 1 something was lost, doubled or wrong, 2 wrong flags.")
        .arg(
            flag("kills", "Kills for each store and durability")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .default_value("300"),
        )
        .arg(
            flag("store", "What keeps the data folder")
                .value_parser(PossibleValuesParser::new(["sled", "fjall", "both"]))
                .default_value("both"),
        )
        .arg(
            flag("durability", "The failure that is to be survived")
                .value_parser(PossibleValuesParser::new(["process", "sync", "both"]))
                .default_value("both"),
        )
        .arg(
            flag("seed", "Repeats a run, as far as the system's timing allows [default: random, and printed]")
                .value_name("SEED")
                .value_parser(value_parser!(u64)),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn both_are_two() {
        let arguments = ["perper-audit", "--kills", "5", "--durability", "process", "--seed", "7"];
        let options = parse(arguments.map(OsString::from)).unwrap();
        assert_eq!(options.stores, ["sled", "fjall"]);
        assert_eq!(options.durabilities, ["process"]);
        assert_eq!((options.kills, options.seed), (5, 7));
    }
}
