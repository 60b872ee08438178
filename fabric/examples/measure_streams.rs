//! Measures streams in the embedded engine: one writer, any number of listeners, no network.
//!
//!     cargo run --release -p perper-fabric --example measure_streams -- [memory|process|sync] [listeners] [items]
//!
//! Batches are 1,000 items of 100 bytes, with keys that the server gives. Listeners read what is told to be there, as
//! the server does for those who are attached, and acknowledge every 10,000 items.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use perper_fabric::engine::{
    AttachListener, Clock, Embedded, EmbeddedOptions, Engine, Event, Identity, Observer, Operation,
    ReadItems, Request, SessionId, StreamRequest,
};
use perper_proto::v1;
use perper_store::{DataFolder, Durability, MemoryStore, Store, StoreKind};

const BATCH: u32 = 1_000;
const VALUE: usize = 100;
/// Batches handed over and not yet durable.
const IN_FLIGHT: usize = 64;
const SESSION: SessionId = SessionId(1);

/// Wakes listeners when the stream has changed.
#[derive(Default)]
struct Changes {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Observer for Changes {
    fn notify(&self, events: Vec<Event>) {
        if events.iter().any(|event| matches!(event, Event::StreamChanged(_))) {
            if let Ok(mut count) = self.count.lock() {
                *count += 1;
            }
            self.changed.notify_all();
        }
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let durability = arguments.next().unwrap_or_else(|| "memory".to_owned());
    let listeners: usize = arguments.next().map_or(Ok(1), |count| count.parse())?;
    let items: u64 = arguments.next().map_or(Ok(20_000_000), |count| count.parse())?;

    let path = std::env::temp_dir().join(format!("perper-measure-streams-{}", std::process::id()));
    let (folder, store): (_, Arc<dyn Store>) = match durability.as_str() {
        "memory" => (None, Arc::new(MemoryStore::new())),
        named => {
            let durability = if named == "sync" { Durability::Sync } else { Durability::Process };
            let folder = DataFolder::open(&path, StoreKind::Sled)?;
            let store = folder.open_store(durability)?;
            (Some(folder), store)
        }
    };
    let options = EmbeddedOptions {
        cluster_id: 1,
        boot_epoch: 1,
        attempts: 16,
        tombstone_ms: 1000,
        unheard_items: u64::MAX,
        unheard_bytes: u64::MAX,
        value_bytes: 8 << 20,
        tail_cache_bytes: 64 << 20,
    };
    let engine = Embedded::open(store, None, Clock::start(), &options)?;
    let changes = Arc::new(Changes::default());
    engine.observe(Arc::<Changes>::clone(&changes));
    measure(&engine, &changes, listeners, items)?;
    engine.close().map_err(|error| anyhow!(error.message))?;
    drop((engine, folder));
    if durability != "memory" {
        std::fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

fn measure(engine: &Arc<Embedded>, changes: &Arc<Changes>, listeners: usize, items: u64) -> Result<()> {
    apply(
        engine,
        StreamRequest::Create(v1::CreateStreamRequest { stream: "s".into(), ..Default::default() }),
    )?;
    let start = Instant::now();
    let delivered = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..listeners)
        .map(|at| {
            let name = format!("listener {at}");
            let request =
                v1::AttachListenerRequest { stream: "s".into(), name: name.clone(), ..Default::default() };
            let attach = AttachListener { session: SESSION, listener: name.clone(), request };
            apply(engine, StreamRequest::AttachListener(attach))?;
            let (engine, changes, delivered) =
                (Arc::clone(engine), Arc::clone(changes), Arc::clone(&delivered));
            Ok(std::thread::spawn(move || listen(&engine, &changes, &name, items, &delivered)))
        })
        .collect::<Result<_>>()?;

    let value = [b'x'; VALUE];
    let mut values = Vec::new();
    for _ in 0..BATCH {
        values.push(VALUE as u8);
        values.extend_from_slice(&value);
    }
    let values = Bytes::from(values);
    let (sender, receiver) = mpsc::channel();
    let mut in_flight = 0;
    let mut slowest = Duration::ZERO;
    for sequence in 1..=items / u64::from(BATCH) {
        let batch = v1::ItemBatch { count: BATCH, values: values.clone(), ..Default::default() };
        let write = v1::WriteItemsRequest { stream: "s".into(), batch: Some(batch), ..Default::default() };
        let identity = Some(Identity { session: SESSION, sequence });
        let sent = Instant::now();
        let (sender, request) = (sender.clone(), Request::Stream(StreamRequest::Write(write)));
        engine.apply(
            vec![Operation { identity, request }],
            Box::new(move |outcomes| {
                let _ = sender.send((sequence, outcomes.iter().all(|it| it.is_ok()), sent.elapsed()));
            }),
        );
        in_flight += 1;
        if in_flight == IN_FLIGHT {
            let (sequence, ok, took) = receiver.recv()?;
            anyhow::ensure!(ok, "write {sequence} failed");
            slowest = slowest.max(took);
            in_flight -= 1;
            if sequence.is_multiple_of(64) {
                engine.acknowledge(SESSION, sequence);
            }
        }
    }
    for _ in 0..in_flight {
        receiver.recv()?;
    }
    let written = start.elapsed();
    apply(engine, StreamRequest::Abandon("s".into(), None))?;
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a listener panicked"))??;
    }
    let all = start.elapsed();
    println!(
        "{items} items written in {written:.2?}: {:.0} items/s, slowest write {slowest:.2?}",
        items as f64 / written.as_secs_f64()
    );
    let delivered = delivered.load(Ordering::Relaxed);
    println!("{delivered} deliveries in {all:.2?}: {:.0} items/s", delivered as f64 / all.as_secs_f64());
    Ok(())
}

fn listen(engine: &Embedded, changes: &Changes, name: &str, items: u64, delivered: &AtomicU64) -> Result<()> {
    let (mut from_key, mut received, mut seen) = (i64::MIN, 0, 0);
    loop {
        let (sender, receiver) = mpsc::channel();
        let read = ReadItems {
            stream: Arc::from("s"),
            listener: None,
            from_key,
            max_items: 10_000,
            max_bytes: 4 << 20,
        };
        engine.read_items(read, Box::new(move |items| drop(sender.send(items))));
        let page = receiver.recv()?.map_err(|error| anyhow!(error.message))?;
        received += page.count;
        delivered.fetch_add(page.count, Ordering::Relaxed);
        if let Some(last_key) = page.last_key {
            from_key = last_key + 1;
            if received % 10_000 < page.count {
                let acknowledge = StreamRequest::AcknowledgeItems {
                    stream: "s".into(),
                    listener: name.to_owned(),
                    epoch: 1,
                    through: last_key,
                };
                let operation = Operation { identity: None, request: Request::Stream(acknowledge) };
                engine.apply(vec![operation], Box::new(|_| {}));
            }
        }
        if page.end.is_some() {
            anyhow::ensure!(received == items, "received {received} of {items} items");
            return Ok(());
        }
        if page.count == 0 {
            let mut count = changes.count.lock().map_err(|_| anyhow!("poisoned"))?;
            while *count == seen {
                count = changes.changed.wait(count).map_err(|_| anyhow!("poisoned"))?;
            }
            seen = *count;
        }
    }
}

fn apply(engine: &Embedded, request: StreamRequest) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    let operation = Operation { identity: None, request: Request::Stream(request) };
    engine.apply(vec![operation], Box::new(move |outcomes| drop(sender.send(outcomes))));
    let outcome = receiver.recv()?.pop().context("no outcome")?;
    outcome.map(|_| ()).map_err(|error| anyhow!(error.message))
}
