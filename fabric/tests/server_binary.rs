//! The binary: flags, exit codes, signals.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use support::binary::{Server, binary, run};
use support::{Certificates, PATIENCE, check, connect, place};

/// A server whose log is kept.
fn start(arguments: &[&str]) -> Server {
    Server::start(arguments, Stdio::piped())
}

fn send(server: &Server, signal: Signal) {
    kill_process(Pid::from_child(&server.child), signal).unwrap();
}

/// Waits for its end: the exit code and the log.
fn end(mut server: Server) -> (Option<i32>, String) {
    let status = server.child.wait().unwrap();
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    (status.code(), log)
}

#[test]
fn help_and_version_are_shown() {
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("perper-fabric ", env!("CARGO_PKG_VERSION"))));
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in
        ["[default: 127.0.0.1:40400]", "[default: 20s]", "[default: 8MiB]", "Examples:", "PERPER_FABRIC_"]
    {
        assert!(help.contains(part), "{part:?} is missing:\n{help}");
    }
}

#[test]
fn wrong_flags_and_values_end_with_2() {
    for (arguments, part) in [
        (&["--adress", "127.0.0.1:1"][..], "--address"),
        (&["--session-lease", "20"], "session-lease = \"20\" (flag --session-lease): not a time"),
        (&["--address", "0.0.0.0:0"], "--insecure"),
        (&["--config", "/does/not/exist.toml"], "the file cannot be read"),
        (&["--token-file", "/does/not/exist"], "--token-file"),
        (&["check-config", "--token-file", "/does/not/exist"], "--token-file"),
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(part), "{part:?} is missing:\n{stderr}");
    }
}

#[test]
fn what_fails_ends_with_1() {
    let server = start(&[]);
    let (code, _, stderr) = run(&["--address", &server.address.to_string()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("another process has it"), "{stderr}");
}

#[test]
fn health_says_whether_the_server_serves() {
    let certificates = Certificates::make();
    let file = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (cert, key) = (file(&certificates.tls.cert), file(&certificates.tls.key));
    let authority = file(certificates.mutual_tls.client_ca.as_ref().unwrap());
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    let mutual = [&tls[..], &["--tls-client-ca", &authority]].concat();
    let alive = "alive; more it tells only to clients with a certificate\n";
    for (flags, expected) in [(&[][..], "serving\n"), (&tls, "serving\n"), (&mutual, alive)] {
        let (_held, address) = place();
        let address = address.to_string();
        let server = Server::start_at(&address, flags, Stdio::piped());
        let health = |flags: &[&str]| run(&[&["health", "--address", &address], flags].concat());
        assert_eq!(health(flags), (0, expected.to_owned(), String::new()), "{flags:?}");
        if flags.is_empty() {
            // Another configuration is another server.
            let (code, _, stderr) = health(&tls);
            assert_eq!(code, 1, "{stderr}");
        }
        drop(server);
        let (code, stdout, stderr) = health(flags);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.starts_with(&format!("the server at {address}: ")), "{stderr}");
    }
    let (code, _, stderr) = run(&["health", "--address", "127.0.0.1:0"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("the port is chosen by the system"), "{stderr}");
}

#[test]
fn health_finds_a_server_by_the_file_of_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("address");
    let flags = ["--address-file", file.to_str().unwrap()];
    let server = start(&flags);
    // On any address of the machine, the check goes to the machine itself.
    let anywhere = [&["health", "--insecure", "--address", "0.0.0.0:0"], &flags[..]].concat();
    std::fs::write(&file, format!("0.0.0.0:{}", server.address.port())).unwrap();
    assert_eq!(run(&anywhere), (0, "serving\n".to_owned(), String::new()));
}

#[test]
fn check_config_shows_what_the_configuration_amounts_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fabric.toml");
    std::fs::write(&file, "max-attempts = 3\n").unwrap();
    let output = binary(&[])
        .args(["check-config", "--config", file.to_str().unwrap(), "--log-format=json"])
        .env("PERPER_FABRIC_SESSION_LEASE", "30s")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in [
        &format!("max-attempts = 3  # {}, line 1\n", file.display()),
        "session-lease = \"30s\"  # environment variable PERPER_FABRIC_SESSION_LEASE\n",
        "log-format = \"json\"  # flag --log-format\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[tokio::test]
async fn a_signal_ends_it_gracefully_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = start(&["--log-format", "json"]);
        assert_eq!(check(connect(server.address).await.unwrap()).await.unwrap(), 1);
        send(&server, signal);
        let (code, log) = tokio::task::spawn_blocking(|| end(server)).await.unwrap();
        assert_eq!(code, Some(0), "{log}");
        assert!(
            log.lines().all(|line| line.starts_with('{') && line.ends_with('}')),
            "not JSON lines:\n{log}"
        );
        assert!(log.contains("\"message\":\"stopped\""), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let server = start(&["--shutdown-grace", "1h"]);
    let channel = connect(server.address).await.unwrap();
    let (_requests, open) = tokio::sync::mpsc::channel(1);
    let mut answers =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel)
            .server_reflection_info(tokio_stream::wrappers::ReceiverStream::new(open))
            .await
            .unwrap()
            .into_inner();
    send(&server, Signal::TERM);
    // Nothing listens any more: the first signal has been taken, and the second is not merged with it.
    while std::net::TcpStream::connect(server.address).is_ok() {
        tokio::task::yield_now().await;
    }
    send(&server, Signal::TERM);
    let (code, log) = tokio::task::spawn_blocking(|| end(server)).await.unwrap();
    assert_eq!(code, Some(1), "{log}");
    // What answers it may be gone a moment before its connection, and then it ends as if it were at its end.
    let last = timeout(PATIENCE, answers.message()).await.expect("the stream ends with the server");
    assert!(!matches!(last, Ok(Some(_))), "{last:?}");
}

#[test]
fn a_hang_up_reads_the_tokens_again() {
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "a-token-that-is-long-enough\n").unwrap();
    let mut server = start(&["--token-file", tokens.path().to_str().unwrap()]);
    let mut log = BufReader::new(server.child.stderr.take().unwrap()).lines().map(Result::unwrap);
    std::fs::write(tokens.path(), "a-token-that-is-long-enough\nanother-long-enough-token\n").unwrap();
    send(&server, Signal::HUP);
    let line = log.find(|line| line.contains("read certificates and tokens again")).expect("a line");
    assert!(line.contains("tokens=2"), "{line}");
}
