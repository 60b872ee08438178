//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use perper::protocol::Strings;

use super::{BackendConfig, Config, LogFormat, parse_time};
#[cfg(feature = "compose")]
use crate::compose::Source;

const ABOUT: &str =
    "The Scaler of Perper: starts and stops agent processes as instances of agents come and go.";

const AFTER: &str = "\
Every flag can be given as an environment variable (--log-format as PERPER_SCALER_LOG_FORMAT); flags win. Where the \
Fabric is can also be said as for agents, by PERPER_FABRIC_ENDPOINT, PERPER_CA_FILE and PERPER_TOKEN. Times have a unit \
(500ms, 20s, 5m, 1h, 1d).

Signals: SIGTERM and SIGINT stop it gracefully, a second one at once.
Exit codes: 0 stopped as told, 1 failed, 2 wrong flags or files.";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Work.
    Scale(Box<Config>),
    /// Ask the Scaler that serves there whether it works.
    Health(SocketAddr),
    /// Print a text, such as the help.
    Show(String),
}

struct Setting {
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
}

const fn setting(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, value, default, help }
}

const HTTP_ADDRESS: Setting = setting(
    "http-address",
    "IP:PORT",
    "",
    "Where /metrics, /livez and /readyz are served; port 0 takes a free one",
);
const HTTP_ADDRESS_FILE: Setting =
    setting("http-address-file", "FILE", "", "The actual address of that is written to this file");

/// What every back-end has.
const COMMON: &[Setting] = &[
    setting("fabric", "URL", "", "Where the Fabric is, such as http://127.0.0.1:40400"),
    setting("ca-file", "FILE", "", "Trust these certificates, PEM, in place of the system's"),
    HTTP_ADDRESS,
    HTTP_ADDRESS_FILE,
    setting("grace", "TIME", "60s", "How long what was started for another Fabric is left alone"),
    setting("resync", "TIME", "30s", "How often everything is compared although nothing is heard of"),
    setting("backoff", "TIME", "200ms", "How long to wait before what has ended is started again; doubles"),
    setting("backoff-max", "TIME", "60s", "The longest such wait"),
    setting("log-format", "FORMAT", "text", "How log lines are written: text or json"),
    setting("log-filter", "FILTER", "info", "Which log lines: error, warn, info, debug, trace, or by module"),
];

const PROCESS: &[Setting] =
    &[setting("file", "FILE", "perper.yaml", "The file that says how each agent is run")];

#[cfg(feature = "compose")]
const COMPOSE: &[Setting] = &[
    setting("file", "FILE", "", "The Compose file, read by Compose; by default the one that Compose finds"),
    setting(
        "resolved",
        "FILE",
        "",
        "What `docker compose config` has printed, where Compose is not installed",
    ),
    setting("project-name", "NAME", "", "The name of the project; by default the one that Compose gives it"),
    setting("docker-host", "URL", "", "Where the Docker Engine is [default: unix:///var/run/docker.sock]"),
];

#[cfg(feature = "kubernetes")]
const KUBERNETES: &[Setting] = &[
    setting("namespace", "NAME", "", "The namespace of PerperAgents and Pods; by default the one it runs in"),
    setting("lease", "TIME", "15s", "How long a leader that says nothing is believed to live"),
    setting("identity", "NAME", "", "Who this replica is; by default the name of its host"),
];

/// Reads the command line and the environment.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &impl Strings,
) -> Result<Invocation, String> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Invocation::Show(error.render().to_string()));
        }
        Err(error) => return Err(error.render().to_string().trim_end().to_owned()),
    };
    let Some((backend, matches)) = matches.subcommand() else {
        return Err("name a back-end; `perper-scaler --help` lists them".to_owned());
    };
    #[cfg(feature = "kubernetes")]
    if backend == "crd" {
        return crate::kubernetes::crd_yaml().map(Invocation::Show).map_err(|error| error.to_string());
    }
    let values = Values { matches, environment };
    if backend == "health" {
        return values.health().map(Invocation::Health);
    }
    let backend = match backend {
        #[cfg(feature = "compose")]
        "compose" => BackendConfig::Compose {
            source: match (values.text(&COMPOSE[0])?, values.text(&COMPOSE[1])?) {
                (Some(_), Some(_)) => return Err("give one of file and resolved, not both".to_owned()),
                (None, Some(resolved)) => Source::Resolved(resolved.into()),
                (file, None) => Source::File(file.map(PathBuf::from)),
            },
            project: values.text(&COMPOSE[2])?,
            engine: match values.text(&COMPOSE[3])? {
                None => environment.get("DOCKER_HOST").map_err(|error| error.to_string())?,
                given => given,
            }
            .filter(|engine| !engine.is_empty()),
        },
        #[cfg(feature = "kubernetes")]
        "kubernetes" => BackendConfig::Kubernetes {
            namespace: values.text(&KUBERNETES[0])?,
            lease: values.time(&KUBERNETES[1])?,
            identity: values.text(&KUBERNETES[2])?,
        },
        _ => BackendConfig::Process { file: values.text(&PROCESS[0])?.unwrap_or_default().into() },
    };
    Ok(Invocation::Scale(Box::new(values.config(backend)?)))
}

fn command() -> Command {
    let command = Command::new("perper-scaler")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .max_term_width(120)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(backend("process", "Run agents as local processes", PROCESS))
        .subcommand(
            Command::new("health")
                .about("Ask the Scaler of this machine whether it works; exit 0 if it does")
                .args(arguments(&[HTTP_ADDRESS, HTTP_ADDRESS_FILE])),
        );
    #[cfg(feature = "compose")]
    let command =
        command.subcommand(backend("compose", "Run agents as containers of a Compose project", COMPOSE));
    #[cfg(feature = "kubernetes")]
    let command = command
        .subcommand(backend("kubernetes", "Run agents as Pods and Deployments of Kubernetes", KUBERNETES))
        .subcommand(Command::new("crd").about("Print the definition of the resource PerperAgent"));
    command
}

fn backend(name: &'static str, about: &'static str, own: &'static [Setting]) -> Command {
    Command::new(name).about(about).after_help(AFTER).args(arguments(own)).args(arguments(COMMON))
}

fn arguments(settings: &[Setting]) -> impl Iterator<Item = Arg> {
    settings.iter().map(|setting| {
        let help = match setting.default {
            "" => setting.help.to_owned(),
            default => format!("{} [default: {default}]", setting.help),
        };
        Arg::new(setting.name).long(setting.name).value_name(setting.value).help(help)
    })
}

struct Values<'a, S> {
    matches: &'a ArgMatches,
    environment: &'a S,
}

impl<S: Strings> Values<'_, S> {
    fn config(&self, backend: BackendConfig) -> Result<Config, String> {
        let [fabric, ca_file, http, http_file, grace, resync, backoff, backoff_max, format, filter] = COMMON
        else {
            return Err("the table of settings has changed".to_owned());
        };
        Ok(Config {
            backend,
            fabric: self.text(fabric)?,
            ca_file: self.text(ca_file)?.map(PathBuf::from),
            http_address: self.address(http)?,
            http_address_file: self.text(http_file)?.map(PathBuf::from),
            grace: self.time(grace)?,
            resync: self.time(resync)?.max(std::time::Duration::from_millis(100)),
            backoff: self.time(backoff)?,
            backoff_max: self.time(backoff_max)?,
            log_format: self
                .read(format, |text| match text {
                    "text" => Ok(LogFormat::Text),
                    "json" => Ok(LogFormat::Json),
                    _ => Err("no such format; there are text and json".to_owned()),
                })?
                .unwrap_or_default(),
            log_filter: self
                .read(filter, |text| match tracing_subscriber::EnvFilter::builder().parse(text) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(error) => {
                        Err(format!("not a filter ({error}); give info, or info,perper_scaler=debug"))
                    }
                })?
                .unwrap_or_default(),
        })
    }

    /// Where the Scaler of this machine serves.
    fn health(&self) -> Result<SocketAddr, String> {
        let address =
            self.address(&HTTP_ADDRESS)?.ok_or("http-address is needed: where the Scaler serves /readyz")?;
        let file = self.text(&HTTP_ADDRESS_FILE)?.filter(|_| address.port() == 0);
        let mut address = match file {
            None => address,
            Some(file) => std::fs::read_to_string(&file)
                .map_err(|error| error.to_string())
                .and_then(|text| text.trim().parse().map_err(|_| format!("{text:?} is no address")))
                .map_err(|error| format!("http-address-file {file}: {error}"))?,
        };
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(address)
    }

    fn address(&self, setting: &Setting) -> Result<Option<SocketAddr>, String> {
        self.read(setting, |text| {
            text.parse().map_err(|_| "not an address; give one like 127.0.0.1:9400".to_owned())
        })
    }

    /// The text of a setting; none if it is empty.
    fn text(&self, setting: &Setting) -> Result<Option<String>, String> {
        self.read(setting, |text| Ok(text.to_owned()))
    }

    fn time(&self, setting: &Setting) -> Result<std::time::Duration, String> {
        Ok(self.read(setting, parse_time)?.unwrap_or_default())
    }

    fn read<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let variable = format!("PERPER_SCALER_{}", setting.name.to_ascii_uppercase().replace('-', "_"));
        let (text, origin) = match self.matches.get_one::<String>(setting.name) {
            Some(text) => (text.clone(), format!("flag --{}", setting.name)),
            None => match self.environment.get(&variable).map_err(|error| error.to_string())? {
                Some(text) => (text, format!("environment variable {variable}")),
                None => (setting.default.to_owned(), "default".to_owned()),
            },
        };
        if text.is_empty() {
            return Ok(None);
        }
        read(&text).map(Some).map_err(|message| format!("{} = {text:?} ({origin}): {message}", setting.name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
        let arguments = std::iter::once("perper-scaler").chain(arguments.iter().copied()).map(OsString::from);
        let environment = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match parse(arguments, &environment)? {
            Invocation::Scale(config) => Ok(*config),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn flags_win_over_the_environment_over_the_default() {
        let environment: &[(&str, &str)] =
            &[("PERPER_SCALER_GRACE", "5s"), ("PERPER_SCALER_FILE", "env.yaml")];
        let config = load(&["process", "--grace", "7s"], environment).unwrap();
        assert_eq!(config.grace, Duration::from_secs(7));
        assert_eq!(config.backend, BackendConfig::Process { file: "env.yaml".into() });
        assert_eq!(config.resync, Duration::from_secs(30));
        assert_eq!(config.http_address, None);
        assert_eq!(load(&["process"], environment).unwrap().grace, Duration::from_secs(5));
    }

    #[test]
    fn health_is_asked_for_where_it_is_served() {
        let health = |arguments: &[&str], environment: &[(&str, &str)]| {
            load(&[&["health"], arguments].concat(), environment).expect_err("no configuration")
        };
        let served: &[(&str, &str)] = &[("PERPER_SCALER_HTTP_ADDRESS", "0.0.0.0:9400")];
        assert_eq!(health(&[], served), "Health(127.0.0.1:9400)");
        assert_eq!(health(&["--http-address", "[::]:1"], served), "Health([::1]:1)");
        assert!(health(&[], &[]).starts_with("http-address is needed"));
        let error = health(&["--http-address", "127.0.0.1:0", "--http-address-file", "/no/such"], &[]);
        assert!(error.starts_with("http-address-file /no/such: "), "{error}");
    }

    #[cfg(feature = "compose")]
    #[test]
    fn a_project_is_described_in_one_place() {
        let compose = |arguments: &[&str], environment: &[(&str, &str)]| {
            load(&[&["compose"], arguments].concat(), environment).map(|config| config.backend)
        };
        let expected = |source, engine: Option<&str>| {
            Ok(BackendConfig::Compose { source, project: None, engine: engine.map(str::to_owned) })
        };
        assert_eq!(compose(&[], &[]), expected(Source::File(None), None));
        let docker: &[(&str, &str)] = &[("DOCKER_HOST", "unix:///d")];
        assert_eq!(
            compose(&["--file", "c"], docker),
            expected(Source::File(Some("c".into())), Some("unix:///d"))
        );
        assert_eq!(
            compose(&["--resolved", "r", "--docker-host", "unix:///e"], docker),
            expected(Source::Resolved("r".into()), Some("unix:///e"))
        );
        let error = compose(&["--file", "c", "--resolved", "r"], &[]).expect_err("two places");
        assert_eq!(error, "give one of file and resolved, not both");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_its_place() {
        for (arguments, environment, expected) in [
            (&["process", "--grace", "5"][..], &[][..], "grace = \"5\" (flag --grace): not a time"),
            (
                &["process"],
                &[("PERPER_SCALER_LOG_FORMAT", "xml")],
                "log-format = \"xml\" (environment variable PERPER_SCALER_LOG_FORMAT): no such format",
            ),
            (
                &["process", "--http-address", "here"],
                &[],
                "http-address = \"here\" (flag --http-address): not an",
            ),
            (
                &["process", "--log-filter", "a=loud"],
                &[],
                "log-filter = \"a=loud\" (flag --log-filter): not a",
            ),
            (&["process", "--fiel", "x"], &[], "error: unexpected argument '--fiel'"),
            (&["podman"], &[], "error: unrecognized subcommand 'podman'"),
        ] {
            let error = load(arguments, environment).expect_err(expected);
            assert!(error.starts_with(expected), "{error} instead of {expected}");
        }
    }
}
