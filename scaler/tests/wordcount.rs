//! An application whose agents the Scaler starts: `kill -9` in mid-run changes nothing in its result.

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;

use self::support::{PATIENCE, Scaler, World, eventually, kill};

/// Built beside this test's own binary, by `cargo build -p perper-examples`.
fn wordcount() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_perper-scaler")).with_file_name("wordcount");
    assert!(path.exists(), "{} is missing; cargo build -p perper-examples makes it", path.display());
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokenizer_that_is_killed_changes_nothing_in_the_result() {
    let world = World::new().await;
    let program = wordcount();
    let file = world.write(&format!(
        "
agents:
  Reader: {{command: [{program}, --agent, Reader], shared: 1}}
  Tokenizer: {{command: [{program}, --agent, Tokenizer], environment: {{TEST_ID: $ID}}}}
  Counter: {{command: [{program}, --agent, Counter]}}
",
        program = program.display()
    ));
    // Long enough that the run is still going when its tokenizers are killed.
    let text = world.folder.path().join("text");
    let lines: String =
        (0..30_000).map(|line| format!("the quick brown fox {} jumps\n", letters(line))).collect();
    std::fs::write(&text, &lines).unwrap();
    let scaler = Scaler::process(&world, &file, &["--backoff", "10ms"]);
    let counting = Command::new(&program)
        .args(["--scaled".as_ref(), text.as_os_str()])
        .env("PERPER_FABRIC_ENDPOINT", world.endpoint())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // Two of the three tokenizers die, one after the other.
    let mut killed = Vec::new();
    for _ in 0..2 {
        eventually("three tokenizers run", || async {
            let leaders = world.leaders();
            if leaders.len() == 3 { Ok(()) } else { Err(format!("{leaders:?}")) }
        })
        .await;
        let leaders = world.leaders();
        let (instance, pids) = leaders.iter().find(|(id, _)| !killed.contains(*id)).expect("one that lives");
        kill(pids[0], Signal::KILL);
        killed.push(instance.clone());
        world.other_than(instance, pids[0]).await;
    }
    let output = tokio::time::timeout(PATIENCE + Duration::from_secs(60), counting.wait_with_output())
        .await
        .expect("it ends")
        .unwrap();
    assert!(output.status.success(), "{}{}", scaler.log(), scaler.out());
    assert_eq!(String::from_utf8_lossy(&output.stdout), top(&lines));
    let died = scaler.log().matches("a process ended by itself").count();
    assert_eq!(died, 2, "{}", scaler.log());
    // The instances are stopped, and so are their processes; the reader stays.
    world.nothing_runs().await;
    scaler.stop().await;
}

/// A word of its own for each line, so that the counter has much to keep.
fn letters(mut number: u32) -> String {
    let mut word = String::from("w");
    while number > 0 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

/// The table that is to be printed: the twenty most frequent words.
fn top(text: &str) -> String {
    let mut counts: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    counts.iter().take(20).map(|(word, count)| format!("{count:>7} {word}\n")).collect()
}
