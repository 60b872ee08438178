//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::error::{ConfigError, Origin};
use super::settings::{Draft, SETTINGS};
use super::sources::{self, CONFIG, Environment, Given, Loaded};
use super::{Config, StoreKind};

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
    perper-fabric check-config --config fabric.toml
  A backup of a server that serves, and a data folder made of it:
    perper-fabric backup --to monday.perper
    perper-fabric restore --from monday.perper --data ./restored";

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve.
    Serve(Box<Loaded>),
    /// Say what the configuration amounts to.
    CheckConfig(Box<Loaded>),
    /// Say whether the server of this configuration serves.
    Health(Box<Loaded>),
    /// Write a backup of a server's data, or of a folder.
    Backup(Box<BackupRequest>),
    /// Make a data folder of a backup.
    Restore(Box<RestoreRequest>),
    /// Read a backup, and say what it holds.
    CheckBackup(PathBuf),
    /// Help or the version, as asked for.
    Show(String),
}

/// Which backup to write, and where.
#[derive(Debug)]
pub struct BackupRequest {
    /// The file; `-` is standard output.
    pub to: PathBuf,
    /// Whose data.
    pub source: BackupSource,
}

/// Whose data to back up.
#[derive(Debug)]
pub enum BackupSource {
    /// That of a server.
    Server(ServerAccess),
    /// That of a folder which no server holds.
    Folder(PathBuf, StoreKind),
}

/// A server, and what it takes to be let in.
#[derive(Debug)]
pub struct ServerAccess {
    /// Where it is.
    pub endpoint: String,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate to show, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A token.
    pub token: Option<String>,
    /// A file of tokens, of which the first is as good.
    pub token_file: Option<PathBuf>,
}

/// Which backup to put back, and where.
#[derive(Debug)]
pub struct RestoreRequest {
    /// The file; `-` is standard input.
    pub from: PathBuf,
    /// The folder to make.
    pub data: PathBuf,
    /// The store to make in it.
    pub store: StoreKind,
    /// Go on as the same cluster, with the same sessions.
    pub keep_identity: bool,
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
    let path = |name: &str| matches.get_one::<String>(name).map(PathBuf::from).unwrap_or_default();
    if subcommand == "check-backup" {
        return Ok(Invocation::CheckBackup(path("from")));
    }
    let loaded = Box::new(sources::load(given(matches), environment)?);
    Ok(match subcommand {
        "check-config" => Invocation::CheckConfig(loaded),
        "health" => Invocation::Health(loaded),
        "backup" => {
            let source = if matches.get_flag("offline") {
                BackupSource::Folder(data_folder(&loaded.config)?, loaded.config.store)
            } else {
                BackupSource::Server(server(matches, environment, loaded.config.token_file))
            };
            Invocation::Backup(Box::new(BackupRequest { to: path("to"), source }))
        }
        "restore" => Invocation::Restore(Box::new(RestoreRequest {
            from: path("from"),
            data: data_folder(&loaded.config)?,
            store: loaded.config.store,
            keep_identity: matches.get_flag("keep-identity"),
        })),
        _ => Invocation::Serve(loaded),
    })
}

fn data_folder(config: &Config) -> Result<PathBuf, InvocationError> {
    let missing =
        || InvocationError::Usage("--data is needed: the folder that everything is kept in".to_owned());
    config.data.clone().ok_or_else(missing)
}

/// The server to back up, named by the same variables as in clients.
fn server(matches: &ArgMatches, environment: &dyn Environment, token_file: Option<PathBuf>) -> ServerAccess {
    let variables = environment.variables();
    let variable = |name: &str| {
        let (_, value) = variables.iter().find(|(variable, _)| variable == name)?;
        value.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let flag = |name: &str| matches.get_one::<String>(name).cloned();
    let endpoint = flag("fabric").or_else(|| variable("PERPER_FABRIC_ENDPOINT"));
    ServerAccess {
        endpoint: endpoint.unwrap_or_else(|| format!("http://127.0.0.1:{}", Config::DEFAULT_PORT)),
        ca_file: flag("ca-file").or_else(|| variable("PERPER_CA_FILE")).map(PathBuf::from),
        identity: flag("client-cert").zip(flag("client-key")).map(|(cert, key)| (cert.into(), key.into())),
        token: variable("PERPER_TOKEN"),
        token_file,
    }
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
        .subcommands(backup_commands())
        .disable_help_subcommand(true)
}

fn backup_commands() -> [Command; 3] {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let from = option("from", "FILE", "The backup; - is standard input").required(true);
    [
        Command::new("backup")
            .about("Write a backup of everything that a running server keeps, while it serves")
            .after_help(
                "A token is taken from PERPER_TOKEN, or else from --token-file, of which the first one is as good.\n\
                 What the file holds is as secret as what the server keeps.",
            )
            .arg(option("to", "FILE", "The file to write, whole or not at all; - is standard output").required(true))
            .arg(option(
                "fabric",
                "URL",
                "The server [env: PERPER_FABRIC_ENDPOINT] [default: http://127.0.0.1:40400]",
            ))
            .arg(option(
                "ca-file",
                "FILE",
                "Trust these certificates (PEM) in place of the system's [env: PERPER_CA_FILE]",
            ))
            .arg(
                option("client-cert", "FILE", "Show this certificate (PEM), if the server asks for one")
                    .requires("client-key"),
            )
            .arg(option("client-key", "FILE", "Its private key (PEM)").requires("client-cert"))
            .arg(switch("offline", "Of the folder of --data, which no server holds, in place of a server's")),
        Command::new("restore")
            .about("Make a data folder, of --data and --store, of a backup")
            .arg(from.clone())
            .arg(switch(
                "keep-identity",
                "Go on as the same cluster, with the sessions of its clients: for data that moves, of which nothing was \
                 acknowledged after the backup",
            )),
        Command::new("check-backup").about("Read a backup whole, and say what it holds").arg(from),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }
}
