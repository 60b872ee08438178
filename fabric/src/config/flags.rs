//! The command line.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

use super::error::{ConfigError, Origin};
use super::settings::{Draft, SETTINGS};
use super::sources::{self, CONFIG, Environment, Given, Loaded};

const ABOUT: &str = "The Fabric of Perper: the server that all agent processes connect to. It orchestrates executions \
                     and streams, and stores them.";

const EXAMPLES: &str = "\
Every flag can be given as an environment variable (--max-connections as PERPER_FABRIC_MAX_CONNECTIONS) and as a key \
of the TOML file that --config names (max-connections = 1000). Flags win over the environment, that over the file, and \
that over the defaults. Times have a unit (500ms, 20s, 5m, 1h, 1d), sizes may have one (64KiB, 8MiB, 1GiB).

Signals: SIGTERM and SIGINT stop the server gracefully, a second one at once. SIGHUP reads certificates and tokens again.
Exit codes: 0 stopped as told, 1 failed, 2 wrong flags or configuration.

Examples:
  In memory, on loopback, for trying out:
    perper-fabric
  Kept on disk, safe from loss of power:
    perper-fabric --data ./data
  For other machines, with TLS and a token for each client:
    perper-fabric --data /var/lib/perper --address 0.0.0.0:40400 \\
        --tls-cert server.pem --tls-key server.key --token-file tokens
  On a free port that a script reads from a file:
    perper-fabric --address 127.0.0.1:0 --address-file address
  What a configuration amounts to, without starting:
    perper-fabric check-config --config fabric.toml";

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve.
    Serve(Box<Loaded>),
    /// Say what the configuration amounts to.
    CheckConfig(Box<Loaded>),
    /// Say whether the server of this configuration serves.
    Health(Box<Loaded>),
    /// Help or the version, as asked for.
    Show(String),
}

/// Why a command line leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// There is no such flag, or it misses its value.
    #[error("{0}")]
    Usage(String),
    /// The flags are right, and what they amount to is not.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads the command line, the environment, and the file that either names.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &dyn Environment,
) -> Result<Invocation, InvocationError> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Show(error.render().to_string()));
        }
        Err(error) => return Err(InvocationError::Usage(error.render().to_string().trim_end().to_owned())),
    };
    let (subcommand, matches) = matches.subcommand().unwrap_or(("", &matches));
    let loaded = Box::new(sources::load(given(matches), environment)?);
    Ok(match subcommand {
        "check-config" => Invocation::CheckConfig(loaded),
        "health" => Invocation::Health(loaded),
        _ => Invocation::Serve(loaded),
    })
}

fn given(matches: &ArgMatches) -> Vec<Given> {
    let names = std::iter::once(CONFIG).chain(SETTINGS.iter().map(|setting| setting.name));
    names
        .filter_map(|name| {
            let value = matches.get_one::<String>(name)?.clone();
            Some(Given { name: name.to_owned(), value, origin: Origin::Flag(format!("--{name}")) })
        })
        .collect()
}

fn command() -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .help("Read settings from this TOML file [env: PERPER_FABRIC_CONFIG]")
        .help_heading("Configuration")
        .global(true);
    let defaults = Draft::default();
    let settings = SETTINGS.iter().map(|setting| {
        let default = (setting.show)(&defaults);
        let help = match default.as_str() {
            "" | "false" => setting.help.to_owned(),
            default => format!("{} [default: {default}]", setting.help),
        };
        let arg =
            Arg::new(setting.name).long(setting.name).help(help).help_heading(setting.group).global(true);
        if setting.is_switch() {
            // `--insecure` alone, or `--insecure=false` to take back what the file says.
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("true|false")
        } else {
            arg.num_args(1).value_name(setting.value).allow_hyphen_values(true)
        }
    });
    Command::new("perper-fabric")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(EXAMPLES)
        .max_term_width(120)
        .arg(config)
        .args(settings)
        .subcommand(
            Command::new("check-config")
                .about("Check the configuration and the files it names, show it with the origin of each setting, and exit"),
        )
        .subcommand(
            Command::new("health")
                .about("Ask the server of this configuration, on this machine, whether it serves; exit 0 if it does"),
        )
        .disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
