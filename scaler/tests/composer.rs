//! The Scaler and the Compose that reads its file, in whose place there is a script.
#![cfg(all(feature = "compose", unix))]

mod support;

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use self::support::{Scaler, eventually, kill};

/// A Scaler whose Compose does this with the file.
fn scaler(folder: &Path, reads: &str) -> Scaler {
    let folder_path = folder.display();
    let script = format!("#!/bin/sh\ncd {folder_path}\n[ \"$2\" = version ] && exec echo 2.0.0\n{reads}\n");
    // By another process: what this one has open for writing, a child of another test has for a moment as well, and then
    // it cannot be run.
    let written = Command::new("sh")
        .args(["-c", "printf %s \"$1\" >docker && chmod 755 docker", "sh", &script])
        .current_dir(folder)
        .status();
    assert!(written.unwrap().success());
    let path = format!("{folder_path}:/usr/bin:/bin");
    // Nobody is there, which it finds out only when it has begun.
    let nowhere = ["compose", "--docker-host", "tcp://127.0.0.1:1"];
    Scaler::start_with(folder, "http://127.0.0.1:1", &nowhere, &[("PATH", Path::new(&path))])
}

#[tokio::test]
async fn whoever_stops_it_need_not_wait_for_compose() {
    let folder = tempfile::tempdir().unwrap();
    let scaler = scaler(folder.path(), "echo $$ >new && mv new pid && exec sleep 600");
    let pid = folder.path().join("pid");
    eventually("Compose reads", || async { if pid.exists() { Ok(()) } else { Err(scaler.log()) } }).await;
    scaler.stop().await;
    kill(std::fs::read_to_string(pid).unwrap().trim().parse().unwrap(), Signal::KILL);
}

#[tokio::test]
async fn what_compose_warns_of_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let project = r#"{"name": "shop", "services": {"A": {"image": ""}}}"#;
    let reads = format!("echo 'The TAG variable is not set.' >&2\necho '{project}'");
    let scaler = scaler(folder.path(), &reads);
    eventually("the log has the warning", || async {
        let log = scaler.log();
        let told =
            log.lines().any(|line| line.contains("WARN") && line.contains("The TAG variable is not set."));
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    scaler.stop().await;
}
