//! Measures dictionaries and lists in the embedded engine, without the network in front:
//!
//! ```text
//! cargo run --release -p perper-fabric --example measure_states [operations] [keys]
//! ```
//!
//! Each line is one kind of operation with 100-byte values, handed over in frames of 64 with several frames under way,
//! as connections do.

use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Instant;

use bytes::Bytes;
use perper_fabric::engine::{
    Clock, DictionaryRequest, Embedded, EmbeddedOptions, Engine, Identity, ListRequest, Operation, Request,
    SessionId,
};
use perper_proto::v1;
use perper_store::{Durability, FjallStore, JournalOptions, JournaledStore, MemoryStore, SledStore, Store};
use perper_values::{Value, encode};
use v1::dictionary_operation::{Get, Operation as Dictionary, Set};
use v1::update_list_request::Operation as List;

/// Operations of a frame.
const FRAME: usize = 64;

/// Frames under way.
const IN_FLIGHT: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let operations = arguments.next().map_or(Ok(400_000), |text| text.parse())?;
    let keys = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    type Open = fn(&std::path::Path, Durability) -> perper_store::Result<Arc<dyn Store>>;
    let stores: [(&str, Durability, Open); 7] = [
        ("memory", Durability::Memory, |_, _| Ok(Arc::new(MemoryStore::new()))),
        ("fjall", Durability::Memory, |path, durability| Ok(Arc::new(FjallStore::open(path, durability)?))),
        ("sled", Durability::Memory, |path, durability| Ok(Arc::new(SledStore::open(path, durability)?))),
        ("fjall", Durability::Process, |path, durability| Ok(Arc::new(FjallStore::open(path, durability)?))),
        ("sled", Durability::Process, |path, durability| Ok(Arc::new(SledStore::open(path, durability)?))),
        ("journal + fjall", Durability::Process, |path, durability| {
            Ok(Arc::new(JournaledStore::fjall(path, durability, JournalOptions::default())?))
        }),
        ("journal + sled", Durability::Process, |path, durability| {
            Ok(Arc::new(JournaledStore::sled(path, durability, JournalOptions::default())?))
        }),
    ];
    for (name, durability, open) in stores {
        let folder = tempfile::tempdir()?;
        let bench = Bench::new(open(folder.path(), durability)?)?;
        println!("{name}, durability {durability:?}, {operations} operations, {keys} keys");
        bench.dictionary(operations, keys);
        bench.list(operations);
        bench.engine.close().map_err(|error| error.message)?;
    }
    Ok(())
}

struct Bench {
    engine: Arc<Embedded>,
}

impl Bench {
    fn new(store: Arc<dyn Store>) -> Result<Self, Box<dyn Error>> {
        let options = EmbeddedOptions {
            cluster_id: 1,
            boot_epoch: 1,
            attempts: 16,
            tombstone_ms: 60_000,
            unheard_items: 1_000,
            unheard_bytes: 1 << 20,
            value_bytes: 1 << 20,
            tail_cache_bytes: 1 << 20,
        };
        Ok(Self { engine: Embedded::open(store, None, Clock::start(), &options)? })
    }

    fn dictionary(&self, operations: usize, keys: usize) {
        let create = v1::CreateDictionaryRequest { dictionary: "dictionary".into(), ..Default::default() };
        self.send(Request::Dictionary(DictionaryRequest::Create(create)));
        let update = |operation| {
            Request::Dictionary(DictionaryRequest::Update(v1::UpdateDictionaryRequest {
                dictionary: "dictionary".into(),
                operations: vec![v1::DictionaryOperation { operation: Some(operation) }],
                identity: None,
            }))
        };
        // A step that shares no divisor with the number of keys visits all of them in no useful order.
        let key = move |at: usize| text(&format!("key-{:08}", at.wrapping_mul(7_368_787) % keys));
        let value = Bytes::from(value());
        self.run("set, new keys", keys, true, |at| {
            update(Dictionary::Set(Set { key: key(at), value: value.clone() }))
        });
        self.run("set, old keys", operations, true, |at| {
            update(Dictionary::Set(Set { key: key(at), value: value.clone() }))
        });
        self.run("get", operations, false, |at| update(Dictionary::Get(Get { key: key(at) })));
    }

    fn list(&self, operations: usize) {
        let create = v1::CreateListRequest { list: "list".into(), ..Default::default() };
        self.send(Request::List(ListRequest::Create(create)));
        let update = |operation| {
            Request::List(ListRequest::Update(v1::UpdateListRequest {
                list: "list".into(),
                operation: Some(operation),
                identity: None,
            }))
        };
        let value = Bytes::from(value());
        self.run("add", operations, true, |_| update(List::Add(value.clone())));
        self.run("get at", operations, false, |at| {
            update(List::GetAt((at.wrapping_mul(7_368_787) % operations) as u64))
        });
        self.run("insert at", operations / 4, true, |at| {
            let index = (at.wrapping_mul(7_368_787) % operations) as u64;
            update(List::InsertAt(v1::ListInsertAt { index, value: value.clone() }))
        });
        self.run("dequeue", operations, true, |_| update(List::Dequeue(v1::ListDequeue {})));
    }

    fn send(&self, request: Request) {
        let (sender, receiver) = mpsc::channel();
        let operations = vec![Operation { identity: None, request }];
        self.engine.apply(operations, Box::new(move |outcomes| drop(sender.send(outcomes))));
        for outcome in receiver.recv().into_iter().flatten() {
            outcome.expect("the operation succeeds");
        }
    }

    fn run(&self, name: &str, count: usize, identified: bool, request: impl Fn(usize) -> Request) {
        let session = SessionId(rand::random());
        let window = Arc::new((Mutex::new(0), Condvar::new()));
        let begin = Instant::now();
        for first in (0..count).step_by(FRAME) {
            let frame = first..(first + FRAME).min(count);
            let last = frame.end as u64;
            let operations = frame.map(|at| Operation {
                identity: identified.then_some(Identity { session, sequence: at as u64 + 1 }),
                request: request(at),
            });
            let (flying, landed) = &*window;
            *landed
                .wait_while(flying.lock().expect("a lock"), |flying| *flying == IN_FLIGHT)
                .expect("a lock") += 1;
            let window = Arc::clone(&window);
            self.engine.apply(
                operations.collect(),
                Box::new(move |outcomes| {
                    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                    *window.0.lock().expect("a lock") -= 1;
                    window.1.notify_one();
                }),
            );
            if identified && first % (16 * FRAME) == 0 {
                self.engine.acknowledge(session, last.saturating_sub(((IN_FLIGHT + 1) * FRAME) as u64));
            }
        }
        drop(window.1.wait_while(window.0.lock().expect("a lock"), |flying| *flying > 0).expect("a lock"));
        let elapsed = begin.elapsed();
        self.engine.acknowledge(session, u64::MAX);
        println!("  {name:14} {:>9.0} per second", count as f64 / elapsed.as_secs_f64());
    }
}

fn text(text: &str) -> Bytes {
    encode(&Value::Text(text.to_owned())).expect("text is a value").into()
}

fn value() -> Vec<u8> {
    encode(&Value::Bytes(vec![7; 98].into())).expect("bytes are a value")
}
