//! The examples, as processes against a Fabric, print what they should.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use perper::embedded::Embedded;
use tokio::io::AsyncBufReadExt as _;

/// How long an example may take: far more than it needs, so that one that hangs is a failure and not a silence.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs an example to its end.
async fn run(program: &str, arguments: Vec<String>, fabric: &Embedded) -> Output {
    let mut command = tokio::process::Command::new(program);
    command
        .args(&arguments)
        .env("PERPER_FABRIC_ENDPOINT", fabric.endpoint())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output =
        output.unwrap_or_else(|_| panic!("{program} {arguments:?} came to no end within {PATIENCE:?}"));
    let output = output.expect("it starts");
    assert!(output.status.success(), "{output:?}");
    output
}

/// Files to count: these sources, and the licence texts of Debian where there are some.
fn texts() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut texts: Vec<PathBuf> =
        ["LICENSE", "docs/concepts.md", "docs/protocol.md"].map(|name| root.join(name)).into();
    let licences = ["GPL-3", "Apache-2.0", "Artistic"]
        .map(|name| PathBuf::from("/usr/share/common-licenses").join(name));
    texts.extend(licences.into_iter().filter(|path| path.exists()));
    texts.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wordcount_counts_as_coreutils_do() {
    let fabric = Embedded::temporary().await.expect("a Fabric");
    let files = texts();
    let counted = run(env!("CARGO_BIN_EXE_wordcount"), files.clone(), &fabric).await;

    let script = "cat \"$@\" | tr -cs '[:alpha:]' '\\n' | tr '[:upper:]' '[:lower:]' | sort | uniq -c | sort -k1,1nr -k2 | head -20";
    let mut shell = Command::new("sh");
    let expected = shell.args(["-c", script, "sh"]).args(files).env("LC_ALL", "C").output().expect("a shell");
    std::io::stderr().write_all(&counted.stderr).expect("stderr");
    assert_eq!(String::from_utf8_lossy(&counted.stdout), String::from_utf8_lossy(&expected.stdout));
    fabric.shutdown().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn wordcount_counts_what_comes_through_a_pipe() {
    let fabric = Embedded::temporary().await.expect("a Fabric");
    let folder = tempfile::tempdir().expect("a folder");
    let (pipe, text) =
        (folder.path().join("text"), concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md"));
    let script = "mkfifo \"$1\" && echo made && cat \"$2\" > \"$1\"";
    let mut writer = tokio::process::Command::new("sh")
        .args(["-c".as_ref(), script.as_ref(), "sh".as_ref(), pipe.as_os_str(), text.as_ref()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let made = tokio::io::BufReader::new(writer.stdout.take().expect("a pipe")).lines().next_line().await;
    assert_eq!(made.expect("a line").as_deref(), Some("made"));
    let counted =
        run(env!("CARGO_BIN_EXE_wordcount"), vec![pipe.to_string_lossy().into_owned()], &fabric).await;
    assert!(writer.wait().await.expect("it ends").success());
    let expected = run(env!("CARGO_BIN_EXE_wordcount"), vec![text.to_owned()], &fabric).await;
    assert!(!expected.stdout.is_empty());
    assert_eq!(String::from_utf8_lossy(&counted.stdout), String::from_utf8_lossy(&expected.stdout));
    fabric.shutdown().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_greets_from_one_process_to_another() {
    let fabric = Embedded::temporary().await.expect("a Fabric");
    let mut greeter = tokio::process::Command::new(env!("CARGO_BIN_EXE_hello"))
        .arg("greeter")
        .env("PERPER_FABRIC_ENDPOINT", fabric.endpoint())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let printed = run(env!("CARGO_BIN_EXE_hello"), vec!["printer".into(), "Perper".into()], &fabric).await;
    assert_eq!(String::from_utf8_lossy(&printed.stdout), "Hello, Perper!\n");
    greeter.kill().await.expect("it ends");
    fabric.shutdown().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_shows_everything() {
    let fabric = Embedded::temporary().await.expect("a Fabric");
    let printed = run(env!("CARGO_BIN_EXE_basic"), Vec::new(), &fabric).await;
    assert_eq!(
        String::from_utf8_lossy(&printed.stdout),
        "2 + 3 = 5\n\
         17 / 5 = 3, remainder 2\n\
         1 / 0: 1 cannot be divided by zero\n\
         found Some(\"stream\") and None\n\
         ticked [0, 1, 2], the state says Some(3)\n\
         25 numbers in batches sum up to 300\n\
         ping [0, 2, 4, 6], pong [1, 3, 5]\n"
    );
    fabric.shutdown().await.expect("it stops");
}
