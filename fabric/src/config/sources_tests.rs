use std::fs;
use std::time::Duration;

use super::*;
use crate::config::{Durability, Invocation, LogFormat, StoreKind, Tls, parse};

/// What the flags, the environment and the file give together.
fn load(flags: &[&str], environment: &[(&str, &str)], file: &str) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fabric.toml");
    fs::write(&path, file).unwrap();
    let path = path.display().to_string();
    let arguments = ["perper-fabric", "--config", &path].into_iter().chain(flags.iter().copied());
    match parse(arguments.map(OsString::from), &environment) {
        Ok(Invocation::Serve(loaded)) => Ok(loaded.config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string().replace(&path, "FILE").lines().map(str::to_owned).collect()),
    }
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(load(&[], &[("PATH", "/bin"), ("PERPER_OTHER", "1")], ""), Ok(Config::default()));
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_default() {
    let flag: &[&str] = &["--max-attempts", "1"];
    let environment: &[(&str, &str)] = &[("PERPER_FABRIC_MAX_ATTEMPTS", "2")];
    let file = "max-attempts = 3";
    for (flags, environment, file, expected) in [
        (flag, environment, file, 1),
        (flag, environment, "", 1),
        (flag, &[][..], file, 1),
        (&[][..], environment, file, 2),
        (&[], environment, "", 2),
        (&[], &[], file, 3),
        (&[], &[], "", 16),
    ] {
        let config = load(flags, environment, file).unwrap();
        assert_eq!(config.max_attempts, expected, "{flags:?} {environment:?} {file:?}");
    }
}

#[test]
fn a_stronger_source_takes_back_what_a_weaker_one_gave() {
    let file =
        "insecure = true\naddress = \"127.0.0.1:1\"\nmetrics-address = \"127.0.0.1:2\"\ndata = \"data\"";
    let config =
        load(&["--insecure=false", "--data="], &[("PERPER_FABRIC_METRICS_ADDRESS", "")], file).unwrap();
    assert!(!config.insecure && config.metrics_address.is_none() && config.data.is_none());
}

#[test]
fn every_kind_of_value_is_read_from_every_source() {
    let file = "\
        session-lease = \"1m\"\n\
        limit-value-bytes = \"1MiB\"\n\
        limit-key-bytes = 512\n\
        log-format = \"json\"\n\
        store = \"fjall\"\n";
    let environment = [
        ("PERPER_FABRIC_DURABILITY", "process"),
        ("PERPER_FABRIC_DATA", "/data"),
        ("PERPER_FABRIC_OTLP_ENDPOINT", "http://localhost:4317"),
        ("PERPER_FABRIC_INSECURE", "true"),
    ];
    let flags = [
        "--address=[::]:0",
        "--tls-cert",
        "c",
        "--tls-key",
        "k",
        "--tls-client-ca",
        "a",
        "--log-filter",
        "debug",
    ];
    let config = load(&flags, &environment, file).unwrap();
    assert_eq!(config.session_lease, Duration::from_secs(60));
    assert_eq!((config.limits.value_bytes, config.limits.key_bytes), (1 << 20, 512));
    assert_eq!((config.log_format, config.log_filter.as_str()), (LogFormat::Json, "debug"));
    assert_eq!((config.store, config.durability), (StoreKind::Fjall, Some(Durability::Process)));
    assert_eq!(config.otlp_endpoint.as_deref(), Some("http://localhost:4317"));
    assert_eq!(config.address, "[::]:0".parse().unwrap());
    assert!(config.insecure);
    assert_eq!(config.tls, Some(Tls { cert: "c".into(), key: "k".into(), client_ca: Some("a".into()) }));
}

#[test]
fn what_is_wrong_is_named_with_its_value_and_its_place() {
    for (flags, environment, file, expected) in [
        (
            &["--max-attempts", "many"][..],
            &[][..],
            "",
            "max-attempts = \"many\" (flag --max-attempts): not a whole number",
        ),
        (
            &["--max-attempts", "-1"],
            &[],
            "",
            "max-attempts = \"-1\" (flag --max-attempts): not a whole number",
        ),
        (
            &[],
            &[("PERPER_FABRIC_SESSION_LEASE", "20")],
            "",
            "session-lease = \"20\" (environment variable PERPER_FABRIC_SESSION_LEASE): not a time",
        ),
        (&[], &[], "\n\naddress = \"localhost\"", "address = \"localhost\" (FILE, line 3): not an address"),
        (
            &[],
            &[("PERPER_FABRIC_SESION_LEASE", "20s")],
            "",
            "sesion-lease (environment variable PERPER_FABRIC_SESION_LEASE): there is no such setting; did you mean PERPER_FABRIC_SESSION_LEASE?",
        ),
        (
            &[],
            &[],
            "max_attempts = 3",
            "max_attempts (FILE, line 1): there is no such setting; did you mean max-attempts?",
        ),
        (
            &[],
            &[],
            "colour = 3",
            "colour (FILE, line 1): there is no such setting; `perper-fabric --help` lists them",
        ),
        (&[], &[], "[limits]\ndepth = 3", "limits (FILE, line 1): a table is no value"),
        (&[], &[], "max-attempts = 1.5", "max-attempts (FILE, line 1): a fraction is no value"),
        (&[], &[], "a = 1\nb =", "config (FILE, line 2): not TOML"),
        (&[], &[], "store = \"rocks\"", "store = \"rocks\" (FILE, line 1):"),
        (&["--tls-cert", "c"], &[], "", "tls-cert = \"c\" (flag --tls-cert): the certificate needs its key"),
        (
            &["--address", "0.0.0.0:40400"],
            &[],
            "",
            "address = \"0.0.0.0:40400\" (flag --address): 0.0.0.0:40400 can be reached by other machines",
        ),
        (&[], &[("PERPER_FABRIC_DURABILITY", "sync")], "", "durability = \"sync\" (environment variable"),
        (
            &["--log-filter", "perper=loud"],
            &[],
            "",
            "log-filter = \"perper=loud\" (flag --log-filter): not a filter",
        ),
    ] {
        let lines = load(flags, environment, file).expect_err(expected);
        assert!(lines[0].starts_with(expected), "{lines:?} instead of {expected:?}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let lines = load(&["--max-attempts", "x"], &[("PERPER_FABRIC_RESET_GRACE", "y")], "z = 1").unwrap_err();
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_bad_value_is_told_even_where_a_stronger_source_wins() {
    assert!(load(&["--max-attempts", "1"], &[], "max-attempts = \"x\"").is_err());
}

#[test]
fn the_variable_that_tells_clients_where_the_fabric_is_is_no_setting() {
    let environment = [("PERPER_FABRIC_ENDPOINT", "http://fabric:40400")];
    assert_eq!(load(&[], &environment, ""), Ok(Config::default()));
}

#[test]
fn variables_that_kubernetes_makes_are_no_settings() {
    let environment = [
        ("PERPER_FABRIC_PORT", "tcp://10.0.0.1:40400"),
        ("PERPER_FABRIC_PORT_40400_TCP_ADDR", "10.0.0.1"),
        ("PERPER_FABRIC_SERVICE_HOST", "10.0.0.1"),
        ("PERPER_FABRIC_SERVICE_PORT_GRPC", "40400"),
    ];
    assert_eq!(load(&[], &environment, ""), Ok(Config::default()));
}

#[test]
fn unknown_flags_and_missing_values_are_usage_errors() {
    for arguments in [&["--sesion-lease", "1s"][..], &["--data"], &["serve"], &["--data", "a", "--data", "b"]]
    {
        let arguments = ["perper-fabric"].iter().chain(arguments).map(OsString::from);
        let error = parse(arguments, &(&[] as &[(&str, &str)])).unwrap_err();
        assert!(matches!(error, crate::config::InvocationError::Usage(_)), "{error:?}");
    }
}

#[test]
fn what_check_config_shows_is_the_same_configuration() {
    let arguments =
        ["perper-fabric", "check-config", "--data", "a \"b\"\\c", "--session-lease=90s", "--max-attempts=3"];
    let environment: &[(&str, &str)] = &[];
    let Ok(Invocation::CheckConfig(loaded)) = parse(arguments.map(OsString::from), &environment) else {
        panic!("check-config is not understood");
    };
    let text = loaded.to_toml();
    assert!(text.contains("max-attempts = 3  # flag --max-attempts\n"), "{text}");
    assert!(text.contains("limit-depth = 128  # default\n"), "{text}");
    assert_eq!(load(&[], &[], &text), Ok(loaded.config), "{text}");
}
