//! The promise of the durabilities `process` and `sync`, held by every store: what was acknowledged is there after
//! `kill -9`, and no batch is ever there in part.
//!
//! This very binary is run again as a writer, which tells by a pipe what was acknowledged to it; the parent kills it at
//! a random moment, opens the folder and looks. `PERPER_CRASH_KILLS` sets the number of kills for each store and
//! durability, `PERPER_CRASH_SEED` repeats a run.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use perper_store::{
    Committer, CommitterOptions, Direction, Durability, FjallStore, JournalOptions, JournaledStore, KeyRange,
    SledStore, Space, Store, WriteBatch,
};

/// Tells the test binary that it is the writer: store, durability, folder, seed.
const WRITER: &str = "PERPER_CRASH_WRITER";

/// Tells it that it is to look at what a loss of power left: store, durability, the last acknowledged batch, folder.
const AUDITOR: &str = "PERPER_CRASH_AUDITOR";

/// Batches in flight at once, at most.
const IN_FLIGHT: u64 = 32;

/// How many batches back a batch deletes.
const KEPT: u64 = 300;

fn open(kind: &str, folder: &Path, durability: Durability) -> Arc<dyn Store> {
    // Small, so that kills fall into checkpoints as well.
    let small = || JournalOptions { rotate_bytes: 300_000, stall_bytes: 1_000_000 };
    match kind {
        "sled" => Arc::new(SledStore::open(folder, durability).expect("sled opens")),
        "fjall" => Arc::new(FjallStore::open(folder, durability).expect("fjall opens")),
        "journaled-sled" => Arc::new(JournaledStore::sled(folder, durability, small()).expect("sled opens")),
        "journaled-fjall" => {
            Arc::new(JournaledStore::fjall(folder, durability, small()).expect("fjall opens"))
        }
        other => panic!("there is no store called {other}"),
    }
}

/// A generator that is the same everywhere, so that a seed tells all.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Bytes that hardly repeat from one call to the next, made fast.
    fn bytes(&mut self, len: usize) -> Bytes {
        let mut bytes = self.next().to_le_bytes().repeat(len.div_ceil(8));
        bytes.truncate(len);
        Bytes::from(bytes)
    }
}

/// The puts of batch `number`: several spaces, small values and now and then a large one. They follow from the number, so
/// that a reader can tell a whole batch from a torn one.
fn puts(number: u64) -> Vec<(Space, Vec<u8>, Bytes)> {
    let mut random = Random::new(number + 1);
    let count = 1 + random.next() % 6;
    (0..count)
        .map(|index| {
            let space = Space::ALL[(random.next() % 9) as usize];
            let len = match random.next() % 50 {
                0 => 200_000,
                1 => 20_000,
                _ => random.next() % 300,
            };
            // Spread over the whole space, as ids are.
            let mut key = random.bytes(4).to_vec();
            key.extend_from_slice(&number.to_be_bytes());
            key.push(index as u8);
            (space, key, random.bytes(len as usize))
        })
        .collect()
}

/// Batch `number`: its puts, a common key that every batch overwrites, and the removal of an older batch.
fn batch(number: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (space, key, value) in puts(number) {
        if number.is_multiple_of(2) {
            batch.put_new(space, &key, value);
        } else {
            batch.put(space, &key, value);
        }
    }
    batch.put_slice(Space::Meta, b"last", &number.to_be_bytes());
    if let Some(old) = number.checked_sub(KEPT) {
        for (space, key, _) in puts(old) {
            if number.is_multiple_of(3) {
                let mut end = key.clone();
                end.push(0);
                batch.delete_range(space, &key, &end);
            } else {
                batch.delete(space, &key);
            }
        }
    }
    batch
}

fn last(store: &dyn Store) -> Option<u64> {
    let last = store.get(Space::Meta, b"last").expect("the last batch");
    last.map(|number| u64::from_be_bytes(number[..].try_into().expect("a number")))
}

/// Writes batches until it is killed, and prints the number of each that is acknowledged.
fn write(kind: &str, durability: Durability, folder: &Path) {
    let store = open(kind, folder, durability);
    let first = last(&*store).map_or(0, |last| last + 1);
    let committer = Committer::start(store, None, CommitterOptions::default()).expect("it starts");
    println!("ready {first}");
    for number in first.. {
        match number % IN_FLIGHT {
            // Nothing is under way, so that the committer may do it on this thread.
            1 => {
                committer.commit(batch(number)).wait().expect("a commit");
                acknowledge(number);
            }
            // What came before is done when this is.
            0 => {
                let (done, wait) = std::sync::mpsc::channel();
                committer.enqueue(batch(number), move |result| {
                    result.expect("a commit");
                    acknowledge(number);
                    done.send(()).expect("someone waits");
                });
                wait.recv().expect("it is told");
            }
            _ => committer.enqueue(batch(number), move |result| {
                result.expect("a commit");
                acknowledge(number);
            }),
        }
    }
}

/// One write of a short line to a pipe arrives whole, or not at all.
fn acknowledge(number: u64) {
    let line = format!("{number}\n");
    std::io::stdout()
        .lock()
        .write_all(line.as_bytes())
        .and_then(|()| std::io::stdout().flush())
        .expect("the pipe");
}

/// Checks that the folder holds batches up to some number, whole, and nothing else; returns that number.
fn audit(kind: &str, durability: Durability, folder: &Path, acknowledged: Option<u64>) -> Option<u64> {
    let store = open(kind, folder, durability);
    let last = last(&*store);
    assert!(last >= acknowledged, "batch {acknowledged:?} was acknowledged, the store ends with {last:?}");
    let mut expected: Vec<(Space, Vec<u8>, Bytes)> = Vec::new();
    if let Some(last) = last {
        (last.saturating_sub(KEPT - 1)..=last).for_each(|number| expected.extend(puts(number)));
        expected.push((Space::Meta, b"last".to_vec(), Bytes::copy_from_slice(&last.to_be_bytes())));
    }
    expected.sort();
    let mut found = Vec::new();
    for space in Space::ALL {
        for entry in store.range(space, KeyRange::ALL, Direction::Forward) {
            let (key, value) = entry.expect("an entry");
            found.push((space, key.to_vec(), value));
        }
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            found == expected,
            "found {:?} {:?}, expected {:?} {:?}",
            found.0,
            found.1,
            expected.0,
            expected.1
        );
    }
    assert_eq!(found.len(), expected.len(), "entries up to batch {last:?}");
    last
}

/// The durability with this name.
fn durability(name: &str) -> Durability {
    match name {
        "Process" => Durability::Process,
        "Sync" => Durability::Sync,
        other => panic!("there is no durability called {other}"),
    }
}

fn kill_and_audit(kind: &str, durability: Durability) {
    // The stores by themselves serve no server; they are audited because the journal builds on them.
    let few = if kind.starts_with("journaled") { 10 } else { 3 };
    let kills = std::env::var("PERPER_CRASH_KILLS").map_or(few, |kills| kills.parse().expect("a number"));
    let seed = std::env::var("PERPER_CRASH_SEED").map_or_else(
        |_| SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos() as u64,
        |seed| seed.parse().expect("a number"),
    );
    println!("{kind} {durability:?}: PERPER_CRASH_SEED={seed} PERPER_CRASH_KILLS={kills}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().expect("a folder for the test");
    let mut last = None;
    for kill in 0..kills {
        let mut writer = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "writer", "--nocapture", "--test-threads=1"])
            .env(WRITER, format!("{kind} {durability:?} {}", folder.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a writer");
        let mut lines = BufReader::new(writer.stdout.take().expect("its pipe")).lines();
        let ready = |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("ready"));
        assert!(lines.by_ref().any(|line| ready(&line)), "the writer did not start");
        let alive = Duration::from_micros(random.next() % 400_000);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let killer = std::thread::spawn(move || {
            // A timeout and no race: any moment is as good as any other.
            let _ = stopped.recv_timeout(alive);
            writer.kill().expect("it is killed");
            writer.wait().expect("it is gone");
        });
        let mut acknowledged = last;
        for line in lines.map_while(Result::ok) {
            let Ok(number) = line.parse::<u64>() else { panic!("the writer says {line:?}") };
            // Completions come in order; so one missing would be an error of its own.
            assert_eq!(
                number,
                acknowledged.map_or(0, |acknowledged| acknowledged + 1).max(first_after(last))
            );
            acknowledged = Some(number);
        }
        drop(stop);
        killer.join().expect("the killer");
        let before = last;
        last = audit(kind, durability, folder.path(), acknowledged);
        println!("kill {kill} after {alive:?}: {before:?} -> acknowledged {acknowledged:?}, found {last:?}");
    }
    assert!(last.is_some(), "nothing was written at all");
}

fn first_after(last: Option<u64>) -> u64 {
    last.map_or(0, |last| last + 1)
}

/// Not a test of its own: what the others run in a process to be killed.
#[test]
fn writer() {
    let Ok(task) = std::env::var(WRITER) else { return };
    let task: Vec<&str> = task.splitn(3, ' ').collect();
    let [kind, name, folder] = task[..] else { panic!("{WRITER}={task:?}") };
    write(kind, durability(name), Path::new(folder));
}

/// Not a test of its own: what `power_loss.py` runs on a folder as a loss of power may leave it.
#[test]
fn auditor() {
    let Ok(task) = std::env::var(AUDITOR) else { return };
    let task: Vec<&str> = task.splitn(4, ' ').collect();
    let [kind, name, acknowledged, folder] = task[..] else { panic!("{AUDITOR}={task:?}") };
    let found = audit(kind, durability(name), Path::new(folder), acknowledged.parse().ok());
    println!("acknowledged {acknowledged}, found {found:?}");
}

#[test]
fn sled_survives_the_end_of_the_process() {
    kill_and_audit("sled", Durability::Process);
}

#[test]
fn sled_survives_the_end_of_the_process_with_sync() {
    kill_and_audit("sled", Durability::Sync);
}

#[test]
fn fjall_survives_the_end_of_the_process() {
    kill_and_audit("fjall", Durability::Process);
}

#[test]
fn fjall_survives_the_end_of_the_process_with_sync() {
    kill_and_audit("fjall", Durability::Sync);
}

#[test]
fn journaled_sled_survives_the_end_of_the_process() {
    kill_and_audit("journaled-sled", Durability::Process);
}

#[test]
fn journaled_sled_survives_the_end_of_the_process_with_sync() {
    kill_and_audit("journaled-sled", Durability::Sync);
}

#[test]
fn journaled_fjall_survives_the_end_of_the_process() {
    kill_and_audit("journaled-fjall", Durability::Process);
}

#[test]
fn journaled_fjall_survives_the_end_of_the_process_with_sync() {
    kill_and_audit("journaled-fjall", Durability::Sync);
}
