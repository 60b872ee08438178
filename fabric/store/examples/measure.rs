//! Measures a store: `measure <folder> <memory|sled|fjall> <process|sync> [seconds]`.
//!
//! * small batches, 1, 64 and 1000 of them handed to the store at once: what a group costs;
//! * calls: what the Fabric writes for a call (two puts, and a delete somewhat later), in groups of 256 calls;
//! * items: batches of 100 KB as streams write them, deleted by range when 16 MB came after them;
//! * latency: one committer, one waiting at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use perper_store::{
    Committer, CommitterOptions, DataFolder, Durability, MemoryStore, Space, Store, StoreKind, WriteBatch,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, kind, durability, rest @ ..] = &args[..] else {
        return Err("usage: measure <folder> <memory|sled|fjall> <process|sync> [seconds] [what]".into());
    };
    let kind: StoreKind = kind.parse()?;
    let durability = match durability.as_str() {
        "memory" => Durability::Memory,
        "process" => Durability::Process,
        "sync" => Durability::Sync,
        other => return Err(format!("there is no durability called {other:?}").into()),
    };
    let time = Duration::from_secs_f64(rest.first().map_or(Ok(3.0), |seconds| seconds.parse())?);
    let only = rest.get(1).map(String::as_str);
    let folder = Path::new(folder);
    for group in [1, 64, 1000] {
        run(folder, kind, durability, only, &format!("small x{group}"), |store| small(store, group, time))?;
    }
    run(folder, kind, durability, only, "calls", |store| calls(store, time))?;
    run(folder, kind, durability, only, "items", |store| items(store, time))?;
    run(folder, kind, durability, only, "latency", |store| latency(store, time))?;
    Ok(())
}

fn run(
    folder: &Path,
    kind: StoreKind,
    durability: Durability,
    only: Option<&str>,
    what: &str,
    measure: impl FnOnce(Arc<dyn Store>) -> Result<String, Failure>,
) -> Result<(), Failure> {
    if only.is_some_and(|only| !what.starts_with(only)) {
        return Ok(());
    }
    let path = folder.join(what.replace(' ', "-"));
    let cpu = cpu_time();
    let start = Instant::now();
    let (result, disk) = if kind == StoreKind::Memory {
        (measure(Arc::new(MemoryStore::new()))?, 0)
    } else {
        let data = DataFolder::open(&path, kind)?;
        let store = data.open_store(durability)?;
        (measure(Arc::clone(&store))?, store.disk_usage()?)
    };
    let cores = (cpu_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    println!("{kind:6} {durability:?} {what:12} {result}; {cores:.2} cores, {} MB on disk", disk >> 20);
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    Ok(())
}

/// The processor time of this process, of all its threads.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // In hundredths of a second on every Linux there is.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn key(number: u64) -> [u8; 24] {
    let mut key = [b'k'; 24];
    // Spread as random ids would be.
    key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    key[8..16].copy_from_slice(&number.to_be_bytes());
    key
}

fn small(store: Arc<dyn Store>, group: u64, time: Duration) -> Result<String, Failure> {
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < time {
        let batches: Vec<_> = (number..number + group)
            .map(|number| {
                let mut batch = WriteBatch::with_capacity(1, 174);
                batch.put_slice(Space::Executions, &key(number), &[7; 150]);
                batch
            })
            .collect();
        store.commit(&batches)?;
        number += group;
    }
    Ok(format!("{:9.0} batches/s", number as f64 / start.elapsed().as_secs_f64()))
}

fn calls(store: Arc<dyn Store>, time: Duration) -> Result<String, Failure> {
    const GROUP: u64 = 256;
    const LIVE: u64 = 4 * GROUP;
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < time {
        let mut batches = Vec::with_capacity(3 * GROUP as usize);
        for number in number..number + GROUP {
            for (lag, value) in [(0, 150), (LIVE / 2, 60)] {
                let Some(number) = u64::checked_sub(number, lag) else { continue };
                let mut batch = WriteBatch::with_capacity(1, 174);
                let value = Bytes::from_static(&[7; 150][..value]);
                if lag == 0 {
                    batch.put_new(Space::Executions, &key(number), value);
                } else {
                    batch.put(Space::Executions, &key(number), value);
                }
                batches.push(batch);
            }
            let Some(number) = number.checked_sub(LIVE) else { continue };
            let mut batch = WriteBatch::with_capacity(1, 24);
            batch.delete(Space::Executions, &key(number));
            batches.push(batch);
        }
        store.commit(&batches)?;
        number += GROUP;
    }
    Ok(format!("{:9.0} calls/s", number as f64 / start.elapsed().as_secs_f64()))
}

fn items(store: Arc<dyn Store>, time: Duration) -> Result<String, Failure> {
    const BYTES: usize = 100_000;
    const LIVE: u64 = 160;
    let value = Bytes::from(vec![7; BYTES]);
    let key = |number: u64| number.to_be_bytes();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < time {
        let mut batches = Vec::new();
        for number in number..number + 4 {
            let mut batch = WriteBatch::new();
            batch.put_new(Space::Items, &key(number), value.clone());
            batches.push(batch);
        }
        number += 4;
        if number % 64 == 0 && number > LIVE {
            let mut batch = WriteBatch::new();
            batch.delete_range(Space::Items, &key(number - LIVE - 64), &key(number - LIVE));
            batches.push(batch);
        }
        store.commit(&batches)?;
    }
    Ok(format!("{:9.0} MB/s", (number * BYTES as u64) as f64 / 1e6 / start.elapsed().as_secs_f64()))
}

fn latency(store: Arc<dyn Store>, time: Duration) -> Result<String, Failure> {
    let mut report = String::new();
    for inline_bytes in [0, CommitterOptions::default().inline_bytes] {
        let options = CommitterOptions { inline_bytes, ..CommitterOptions::default() };
        let committer = Committer::start(Arc::clone(&store), None, options)?;
        let start = Instant::now();
        let mut times = Vec::new();
        while start.elapsed() < time / 2 {
            let mut batch = WriteBatch::with_capacity(1, 174);
            batch.put_slice(Space::Executions, &key(times.len() as u64), &[7; 150]);
            let began = Instant::now();
            committer.commit(batch).wait()?;
            times.push(began.elapsed());
        }
        times.sort();
        let at = |share: usize| times[times.len() * share / 100];
        let how = if inline_bytes == 0 { "thread" } else { "inline" };
        report += &format!("{how} p50 {:?} p99 {:?}  ", at(50), at(99));
    }
    Ok(report)
}
