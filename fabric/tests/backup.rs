//! `perper-fabric backup` and `restore`, from outside: a server is backed up while it works, and what is put back is what
//! it had acknowledged.
#![cfg(unix)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use perper_fabric::Config;
use perper_proto::v1;
use perper_proto::v1::request::Request as Asked;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use v1::administration_client::AdministrationClient;
use v1::executions_client::ExecutionsClient;
use v1::inspection_client::InspectionClient;
use v1::sessions_client::SessionsClient;
use v1::states_client::StatesClient;
use v1::streams_client::StreamsClient;

use support::binary::{Server, binary, run};
use support::{Certificates, PATIENCE, config, connect, start};

/// Runs a command that must succeed.
fn done(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(arguments);
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    stdout
}

fn serve(data: &Path, store: &str) -> Server {
    Server::start(&["--store", store, "--data", data.to_str().unwrap()], Stdio::null())
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// A number as CBOR has it.
fn cbor(number: u64) -> Bytes {
    match number {
        0..24 => vec![number as u8],
        24..0x100 => vec![0x18, number as u8],
        0x100..0x1_0000 => [&[0x19][..], &(number as u16).to_be_bytes()].concat(),
        _ => [&[0x1A][..], &(number as u32).to_be_bytes()].concat(),
    }
    .into()
}

fn number(cbor: &[u8]) -> u64 {
    match cbor {
        [small] => u64::from(*small),
        [_, rest @ ..] => rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        [] => panic!("no value"),
    }
}

fn session(number: u8) -> Bytes {
    vec![number; 16].into()
}

fn identity(by: u8, sequence: u64) -> Option<v1::Identity> {
    Some(v1::Identity { session: session(by), sequence })
}

fn hello() -> Option<v1::HelloRequest> {
    Some(v1::HelloRequest { protocol_min: 1, protocol_max: 1, ..Default::default() })
}

async fn open_session(channel: &Channel, by: u8) {
    let request = v1::OpenSessionRequest { session: session(by), hello: hello() };
    SessionsClient::new(channel.clone()).open_session(request).await.expect("a session");
}

const KEYS: [&[u8]; 2] = [b"\x61a", b"\x61b"];

/// Sets both keys of the dictionary to a number, at once.
async fn set_both(channel: &Channel, sequence: u64) {
    let set = |key: &[u8]| {
        let set = v1::dictionary_operation::Set { key: Bytes::copy_from_slice(key), value: cbor(sequence) };
        v1::DictionaryOperation { operation: Some(v1::dictionary_operation::Operation::Set(set)) }
    };
    let request = v1::UpdateDictionaryRequest {
        dictionary: "d".into(),
        operations: KEYS.map(set).to_vec(),
        identity: identity(1, sequence + 10),
    };
    StatesClient::new(channel.clone()).update_dictionary(request).await.expect("an update");
}

async fn write_item(channel: &Channel, sequence: u64) {
    let value = cbor(sequence);
    let values = [&[value.len() as u8][..], &value].concat().into();
    let request = v1::WriteItemsRequest {
        stream: "s".into(),
        batch: Some(v1::ItemBatch { count: 1, values, ..Default::default() }),
        identity: identity(2, sequence + 10),
        ..Default::default()
    };
    StreamsClient::new(channel.clone()).write_items(request).await.expect("an item is written");
}

/// Creates an execution that nobody serves, and completes the one created ten before.
async fn create_and_complete(channel: &Channel, sequence: u64) {
    let mut client = ExecutionsClient::new(channel.clone());
    let create = |execution: String| v1::CreateExecutionRequest {
        execution,
        agent: "A".into(),
        delegate: "Do".into(),
        arguments: vec![cbor(sequence)],
        manual: true,
        identity: identity(3, 2 * sequence + 10),
        ..Default::default()
    };
    client.create_execution(create(format!("e{sequence}"))).await.expect("an execution is created");
    if let Some(before) = sequence.checked_sub(10).filter(|before| *before > 0) {
        let request = v1::CompleteExecutionRequest {
            execution: format!("e{before}"),
            results: vec![cbor(before)],
            identity: identity(3, 2 * sequence + 11),
            ..Default::default()
        };
        client.complete_execution(request).await.expect("an execution is completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_before_a_backup_under_load_is_in_it() {
    for (from, to) in [("sled", "fjall"), ("fjall", "sled")] {
        let folders = Folders::new();
        let server = serve(&folders.path("data"), from);
        let channel = connect(server.address).await.unwrap();
        for by in 1..=3 {
            open_session(&channel, by).await;
        }
        let create = v1::CreateDictionaryRequest {
            dictionary: "d".into(),
            identity: identity(1, 1),
            ..Default::default()
        };
        StatesClient::new(channel.clone()).create_dictionary(create).await.unwrap();
        let create = v1::CreateStreamRequest {
            stream: "s".into(),
            options: Some(v1::StreamOptions { persistent: true, ..Default::default() }),
            identity: identity(2, 1),
            ..Default::default()
        };
        StreamsClient::new(channel.clone()).create_stream(create).await.unwrap();

        let acknowledged: Arc<[AtomicU64; 3]> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for kind in 0..3 {
            let channel = channel.clone();
            let (acknowledged, over) = (Arc::clone(&acknowledged), Arc::clone(&over));
            writers.push(tokio::spawn(async move {
                let mut sequence = 0;
                while !over.load(Ordering::SeqCst) {
                    sequence += 1;
                    match kind {
                        0 => set_both(&channel, sequence).await,
                        1 => write_item(&channel, sequence).await,
                        _ => create_and_complete(&channel, sequence).await,
                    }
                    acknowledged[kind].store(sequence, Ordering::SeqCst);
                }
            }));
        }
        let counts = || acknowledged.each_ref().map(|count| count.load(Ordering::SeqCst));
        let start = Instant::now();
        while counts().iter().any(|count| *count < 200) {
            assert!(writers.iter().all(|writer| !writer.is_finished()), "a writer failed");
            assert!(start.elapsed() < 6 * PATIENCE, "nothing is written");
            tokio::task::yield_now().await;
        }

        let before = counts();
        let (file, url) = (folders.text("backup"), url(&server));
        let said = tokio::task::spawn_blocking({
            let file = file.clone();
            move || done(&["backup", "--to", &file, "--fabric", &url])
        })
        .await
        .unwrap();
        assert!(said.starts_with("a backup of cluster "), "{said}");
        over.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        let after = counts();
        drop(server);

        assert!(!folders.path("backup.partial").exists());
        assert_eq!(done(&["check-backup", "--from", &file]), said);
        done(&["restore", "--from", &file, "--data", &folders.text("restored"), "--store", to]);
        let server = serve(&folders.path("restored"), to);
        let channel = connect(server.address).await.unwrap();

        let request = v1::EnumerateDictionaryRequest { dictionary: "d".into(), ..Default::default() };
        let entries = StatesClient::new(channel.clone()).enumerate_dictionary(request).await.unwrap();
        let values: Vec<_> = entries.into_inner().entries.iter().map(|entry| number(&entry.value)).collect();
        assert_eq!(values.len(), 2);
        assert_eq!(values[0], values[1], "half of a batch");
        assert!((before[0]..=after[0]).contains(&values[0]), "{values:?}, {before:?} to {after:?}");

        let request = v1::GetStreamRequest { stream: "s".into() };
        let stream = StreamsClient::new(channel.clone()).get_stream(request).await.unwrap().into_inner();
        let items = stream.stream.unwrap().items_kept;
        assert!((before[1]..=after[1]).contains(&items), "{items} items, {before:?} to {after:?}");
        let request = v1::ReadItemsRequest { stream: "s".into(), limit: 100_000, ..Default::default() };
        let read = StreamsClient::new(channel.clone()).read_items(request).await.unwrap().into_inner();
        let read: Vec<_> = read.batches.iter().map(|batch| number(&batch.values[1..])).collect();
        assert_eq!(read, (1..=read.len() as u64).collect::<Vec<_>>(), "items are missing, or in disorder");

        let mut executions = ExecutionsClient::new(channel.clone());
        let mut state = async |sequence: u64| {
            let request = v1::GetExecutionRequest { execution: format!("e{sequence}"), summary: true };
            executions.get_execution(request).await.map(|found| found.into_inner().execution.unwrap().state())
        };
        for sequence in 1..=before[2] {
            let state = state(sequence).await.expect("it was created");
            if sequence + 10 <= before[2] {
                assert_eq!(state, v1::ExecutionState::Completed, "e{sequence} of {before:?}");
            }
        }
        assert_eq!(state(after[2] + 1).await.expect_err("it never was").code(), Code::NotFound);
    }
}

/// What the session is told of the reservations that it says it still holds.
async fn revoked(channel: &Channel, held: &Bytes) -> bool {
    let held_reservations = vec![held.clone()];
    let attach = v1::Attach { session: session(9), hello: hello(), held_reservations, ..Default::default() };
    let get = v1::GetExecutionRequest { execution: "detached".into(), summary: true };
    let frames = [
        v1::ClientFrame { attach: Some(attach), ..Default::default() },
        // What has an answer comes after what was to be told at the beginning.
        v1::ClientFrame {
            requests: vec![v1::Request { sequence: 100, request: Some(Asked::GetExecution(get)) }],
            ..Default::default()
        },
    ];
    let frames = tokio_stream::iter(frames).chain(tokio_stream::pending());
    let mut answers = SessionsClient::new(channel.clone()).attach(frames).await.unwrap().into_inner();
    let mut revoked = false;
    loop {
        let frame = answers.message().await.unwrap().expect("the session goes on");
        revoked |= frame.revocations.iter().any(|revocation| revocation.reservation == *held);
        if frame.responses.iter().any(|response| response.sequence == 100) {
            return revoked;
        }
    }
}

/// A session that waits for a call, until what is handed back is dropped.
async fn wait_for_a_call(channel: &Channel, execution: &str) -> tonic::Streaming<v1::ServerFrame> {
    let attach = v1::Attach { session: session(9), hello: hello(), ..Default::default() };
    let call = v1::CreateExecutionRequest {
        execution: execution.into(),
        agent: "A".into(),
        delegate: "Do".into(),
        wait: true,
        ..Default::default()
    };
    let frames = [
        v1::ClientFrame { attach: Some(attach), ..Default::default() },
        v1::ClientFrame {
            requests: vec![v1::Request { sequence: 1, request: Some(Asked::CreateExecution(call)) }],
            ..Default::default()
        },
    ];
    let frames = tokio_stream::iter(frames).chain(tokio_stream::pending());
    let mut answers = SessionsClient::new(channel.clone()).attach(frames).await.unwrap().into_inner();
    loop {
        let frame = answers.message().await.unwrap().expect("the session goes on");
        if frame.succeeded.contains(&1) {
            return answers;
        }
    }
}

async fn cluster_id(channel: &Channel) -> String {
    SessionsClient::new(channel.clone()).hello(hello().unwrap()).await.unwrap().into_inner().cluster_id
}

async fn sessions(channel: &Channel) -> Vec<Bytes> {
    let sessions =
        InspectionClient::new(channel.clone()).list_sessions(v1::ListSessionsRequest::default()).await;
    sessions.unwrap().into_inner().sessions.into_iter().map(|session| session.session).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_fabric_begins_a_new_life_unless_told_to_keep_the_old_one() {
    let folders = Folders::new();
    let server = serve(&folders.path("data"), "sled");
    let channel = connect(server.address).await.unwrap();
    let waiting = wait_for_a_call(&channel, "call").await;
    let detached = v1::CreateExecutionRequest {
        execution: "detached".into(),
        agent: "A".into(),
        delegate: "Do".into(),
        identity: identity(9, 2),
        ..Default::default()
    };
    ExecutionsClient::new(channel.clone()).create_execution(detached).await.unwrap();
    let reserve = v1::ReserveExecutionRequest {
        filter: Some(v1::ExecutionFilter { agent: "A".into(), ..Default::default() }),
        session: session(9),
        ..Default::default()
    };
    let mut executions = ExecutionsClient::new(channel.clone());
    let mut held = Bytes::new();
    for _ in 0..2 {
        let activation = executions.reserve_execution(reserve.clone()).await.unwrap().into_inner();
        if activation.execution == "detached" {
            held = activation.reservation;
        }
    }
    let cluster = cluster_id(&channel).await;
    drop(server);
    drop(waiting);

    // Of the folder of a server that is gone.
    let (file, data) = (folders.text("backup"), folders.text("data"));
    done(&["backup", "--offline", "--to", &file, "--data", &data]);

    for (name, keep) in [("anew", false), ("on", true)] {
        let restored = folders.text(name);
        let mut arguments = vec!["restore", "--from", &file, "--data", &restored, "--store", "fjall"];
        arguments.extend(keep.then_some("--keep-identity"));
        let said = done(&arguments);
        assert!(said.contains(if keep { &cluster } else { "begins anew" }), "{said}");
        // Twice: what is done at the first start is not done again.
        for start in 0..2 {
            let server = serve(&folders.path(name), "fjall");
            let channel = connect(server.address).await.unwrap();
            assert_eq!(cluster_id(&channel).await == cluster, keep, "{name}");
            let expected = match (keep, start) {
                (true, _) => vec![session(9)],
                (false, 0) => vec![],
                (false, _) => vec![session(5)],
            };
            assert_eq!(sessions(&channel).await, expected, "{name}, start {start}");
            if !keep && start == 0 {
                open_session(&channel, 5).await;
            }
            if start == 1 {
                // A client that chose the same name again has nothing of what that held.
                open_session(&channel, 9).await;
                assert_eq!(revoked(&channel, &held).await, !keep, "{name}: a reservation of the former life");
            }
            let mut executions = ExecutionsClient::new(channel.clone());
            let mut get = async |execution: &str| {
                let request = v1::GetExecutionRequest { execution: execution.into(), summary: false };
                executions.get_execution(request).await.map(|found| found.into_inner().execution.unwrap())
            };
            let detached = get("detached").await.expect("it is nobody's");
            if start == 0 {
                assert_eq!(detached.state(), v1::ExecutionState::Pending);
            }
            let call = get("call").await.expect("it is there");
            let expected = if keep { v1::ExecutionState::Pending } else { v1::ExecutionState::Completed };
            assert_eq!(call.state(), expected, "{name}: a call whose caller is gone");
        }
    }
}

#[test]
fn a_restore_that_is_killed_leaves_no_data_folder_and_can_be_run_again() {
    let folders = Folders::new();
    drop(serve(&folders.path("data"), "fjall"));
    let (file, data, restored) = (folders.text("backup"), folders.text("data"), folders.text("restored"));
    done(&["backup", "--offline", "--to", &file, "--data", &data, "--store", "fjall"]);
    let bytes = fs::read(&file).unwrap();

    // All but the last byte, and then nothing more: it waits.
    let mut child =
        binary(&["restore", "--from", "-", "--data", &restored]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes[..bytes.len() - 1]).unwrap();
    let start = Instant::now();
    while !folders.path("restored/store/sled/db").exists() {
        assert!(start.elapsed() < PATIENCE && child.try_wait().unwrap().is_none(), "it does not get there");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    drop(input);

    let (code, _, stderr) = run(&["--address", "127.0.0.1:0", "--data", &restored]);
    assert_eq!(code, 1);
    assert!(stderr.contains("whose restore was cut short: restore it again"), "{stderr}");
    done(&["restore", "--from", &file, "--data", &restored]);
    drop(serve(&folders.path("restored"), "sled"));
    let (code, _, stderr) = run(&["restore", "--from", &file, "--data", &restored]);
    assert_eq!(code, 1);
    assert!(stderr.contains("holds data already; name an empty one"), "{stderr}");
}

#[test]
fn what_is_no_whole_backup_is_refused_by_name() {
    let folders = Folders::new();
    drop(serve(&folders.path("data"), "sled"));
    let (file, data, other) = (folders.text("backup"), folders.text("data"), folders.text("other"));
    done(&["backup", "--offline", "--to", &file, "--data", &data]);
    let bytes = fs::read(&file).unwrap();
    let mut newer = bytes.clone();
    newer[8] += 1;
    let mut altered = bytes.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    for (bytes, part) in [
        (&bytes[..bytes.len() - 5], "the backup is not whole: it breaks off"),
        (&newer, "the backup has version 2, this program knows versions up to 1"),
        (&altered, "the backup is damaged"),
        (b"PK\x03\x04 and so on", "this is no backup of a Fabric"),
    ] {
        fs::write(&other, bytes).unwrap();
        for arguments in [
            &["check-backup", "--from", &other][..],
            &["restore", "--from", &other, "--data", &folders.text("new")],
        ] {
            let (code, stdout, stderr) = run(arguments);
            assert_eq!((code, &*stdout), (1, ""), "{arguments:?}");
            assert!(stderr.contains(part) && stderr.contains(&other), "{arguments:?}: {stderr}");
        }
        assert!(!folders.path("new/format").exists());
    }
    let (code, _, stderr) = run(&["restore", "--from", &file]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--data is needed"), "{stderr}");
}

#[test]
fn a_folder_that_is_misspelt_is_not_backed_up_as_an_empty_one() {
    let folders = Folders::new();
    let (file, typo) = (folders.text("backup"), folders.text("dtaa"));
    let (code, stdout, stderr) = run(&["backup", "--offline", "--to", &file, "--data", &typo]);
    assert_eq!((code, &*stdout), (1, ""));
    assert!(stderr.contains("dtaa is no data folder of Perper"), "{stderr}");
    assert_eq!(fs::read_dir(folders.root.path()).unwrap().count(), 0, "something was made");
}

/// The least that a backup of a server in this process takes: it must be run where its runtime is not.
async fn backup(arguments: Vec<String>, token: Option<&'static str>) -> (i32, String) {
    let asked = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = binary(&arguments);
        command.envs(token.map(|token| ("PERPER_TOKEN", token)));
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_certificates_protect_backups_as_everything_else() {
    let folders = Folders::new();
    let certificates = Certificates::make();
    let tokens = folders.path("tokens");
    fs::write(&tokens, "# of the operator\naaaaaaaaaaaaaaaaaaaa\n").unwrap();
    let authority = folders.path("authority.pem");
    fs::write(&authority, &certificates.authority).unwrap();
    let fabric = start(Config {
        data: Some(folders.path("data")),
        tls: Some(certificates.tls.clone()),
        token_file: Some(tokens.clone()),
        ..config()
    })
    .await;
    let file = folders.text("backup");
    let url = format!("https://localhost:{}", fabric.address().port());
    let with = |more: &[&str]| {
        let mut arguments = vec!["backup", "--to", &file, "--fabric", &url];
        arguments.extend(more);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let trust = ["--ca-file", authority.to_str().unwrap()];

    let (code, stderr) = backup(with(&[]), None).await;
    assert_eq!(code, 1, "the authority is not trusted: {stderr}");
    let (code, stderr) = backup(with(&trust), None).await;
    assert!(code == 1 && stderr.contains("Unauthenticated"), "{stderr}");
    assert!(!folders.path("backup").exists() && !folders.path("backup.partial").exists());
    let (code, stderr) = backup(with(&trust), Some("aaaaaaaaaaaaaaaaaaaa")).await;
    assert_eq!(code, 0, "{stderr}");
    fs::remove_file(&file).unwrap();
    let token_file = [&trust[..], &["--token-file", tokens.to_str().unwrap()]].concat();
    let (code, stderr) = backup(with(&token_file), None).await;
    assert_eq!(code, 0, "{stderr}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    fabric.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_is_taken_at_a_time_and_a_server_that_stops_breaks_it_off() {
    let folders = Folders::new();
    let fabric = start(Config { data: Some(folders.path("data")), ..config() }).await;
    let channel = connect(fabric.address()).await.unwrap();
    // More than fits between here and there, so that it is not over before it is read.
    open_session(&channel, 1).await;
    let create = v1::CreateListRequest { list: "l".into(), identity: identity(1, 1), ..Default::default() };
    let mut states = StatesClient::new(channel.clone());
    states.create_list(create).await.unwrap();
    let mut value = vec![0x5A];
    value.extend_from_slice(&(4_000_000_u32).to_be_bytes());
    value.resize(4_000_005, 7);
    let value = Bytes::from(value);
    for sequence in 2..8 {
        let add = v1::update_list_request::Operation::Add(value.clone());
        let request =
            v1::UpdateListRequest { list: "l".into(), operation: Some(add), identity: identity(1, sequence) };
        states.update_list(request).await.unwrap();
    }

    let mut client = AdministrationClient::new(channel.clone());
    let mut first = client.backup(v1::BackupRequest {}).await.unwrap().into_inner();
    first.message().await.unwrap().expect("a beginning");
    let second = client.backup(v1::BackupRequest {}).await;
    let second = second.expect_err("one at a time");
    assert_eq!(
        (second.code(), second.message().contains("is being taken already")),
        (Code::ResourceExhausted, true)
    );

    // Not read on before the server is known to stop.
    let mut session = wait_for_a_call(&channel, "call").await;
    let stopping = tokio::spawn(fabric.shutdown());
    while !session.message().await.unwrap().expect("the session goes on").draining {}
    let end = loop {
        match first.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the backup was taken to its end"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    drop((first, session, client, states, channel));
    stopping.await.unwrap().unwrap();
    assert!(!folders.path("data/store/journal/backup.changes").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_folder_has_no_backup() {
    let fabric = start(config()).await;
    let folders = Folders::new();
    let file = folders.text("backup");
    let url = format!("http://{}", fabric.address());
    let (code, stderr) =
        backup(["backup", "--to", &file, "--fabric", &url].map(str::to_owned).to_vec(), None).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("the memory store has no journal"), "{stderr}");
    fabric.shutdown().await.unwrap();
}
