//! The short form of the crash audit, on both stores: the long one is `perper-audit`.

use std::{ffi::OsString, process::Command};

use perper_bench::audit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled() {
    // The server of this very source, not one that happens to lie around.
    if std::env::var_os("PERPER_FABRIC").is_none() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "perper-fabric"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "perper-fabric does not build");
    }
    let mut arguments = vec!["perper-audit", "--kills", "5", "--durability", "process"];
    let seed = std::env::var("PERPER_AUDIT_SEED");
    if let Ok(seed) = &seed {
        arguments.extend(["--seed", seed]);
    }
    let options = audit::parse(arguments.into_iter().map(OsString::from)).unwrap();
    let outcomes = audit::audit(&options).await.unwrap();
    for outcome in &outcomes {
        assert_eq!(outcome.findings, [], "PERPER_AUDIT_SEED={} repeats it", options.seed);
        // Fewer restarts than kills: some kill a server that is starting.
        assert!(outcome.kills >= 5 && outcome.restarts > 0 && outcome.acknowledged > 100, "{outcome:?}");
    }
    assert_eq!(outcomes.len(), 2);
}
