//! An engine to test dictionaries and lists through, whose store outlives it.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use perper_proto::v1;
use perper_store::{
    Direction, Durability, Entries, FjallStore, JournalOptions, JournaledStore, KeyRange, MemoryStore,
    SledStore, Space, Store, StoreKind, WriteBatch,
};
use perper_values::{Value, encode};

use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::engine::{Clock, Engine, Identity, Operation, Outcome, Request, SessionId};

/// A store that a closing engine leaves open, as if its disk were what stays.
struct Kept(Arc<dyn Store>);

impl Store for Kept {
    fn commit(&self, group: &[WriteBatch]) -> perper_store::Result<()> {
        self.0.commit(group)
    }

    fn get(&self, space: Space, key: &[u8]) -> perper_store::Result<Option<Bytes>> {
        self.0.get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.0.range(space, range, direction)
    }

    fn disk_usage(&self) -> perper_store::Result<u64> {
        self.0.disk_usage()
    }

    fn close(&self) -> perper_store::Result<()> {
        Ok(())
    }

    fn kind(&self) -> StoreKind {
        self.0.kind()
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }

    fn may_wait(&self) -> bool {
        self.0.may_wait()
    }
}

/// How to open a store anew.
type Open = Box<dyn Fn() -> Arc<dyn Store>>;

pub(in crate::engine::embedded) struct Fixture {
    engine: Option<Arc<Embedded>>,
    pub(in crate::engine::embedded) store: Arc<dyn Store>,
    open: Open,
    _folder: Option<tempfile::TempDir>,
    sequence: u64,
}

impl Fixture {
    fn with(open: Open, folder: Option<tempfile::TempDir>) -> Self {
        let store = open();
        let engine = Some(engine(&store));
        Self { engine, store, open, _folder: folder, sequence: 0 }
    }

    /// On a store in memory.
    pub(in crate::engine::embedded) fn memory() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self::with(Box::new(move || Arc::new(Kept(Arc::clone(&store)))), None)
    }

    /// On the stores that servers have: each alone and behind a journal.
    pub(in crate::engine::embedded) fn on_disk() -> Vec<Self> {
        type OpenIn = fn(&std::path::Path) -> Arc<dyn Store>;
        let opens: [OpenIn; 4] = [
            |path| Arc::new(SledStore::open(path, Durability::Process).unwrap()),
            |path| Arc::new(FjallStore::open(path, Durability::Process).unwrap()),
            |path| {
                Arc::new(JournaledStore::sled(path, Durability::Process, JournalOptions::default()).unwrap())
            },
            |path| {
                Arc::new(JournaledStore::fjall(path, Durability::Process, JournalOptions::default()).unwrap())
            },
        ];
        opens
            .into_iter()
            .map(|open| {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().to_owned();
                Self::with(Box::new(move || open(&path)), Some(folder))
            })
            .collect()
    }

    pub(in crate::engine::embedded) fn engine(&self) -> &Arc<Embedded> {
        self.engine.as_ref().unwrap()
    }

    /// Stops the engine and starts one on what the store holds.
    pub(in crate::engine::embedded) fn restart(&mut self) {
        self.engine.take().unwrap().close().unwrap();
        // A store on disk is locked as long as anything holds it.
        self.store = Arc::new(MemoryStore::new());
        self.store = (self.open)();
        self.engine = Some(engine(&self.store));
    }

    /// Carries out operations as one frame.
    pub(in crate::engine::embedded) fn apply(&self, operations: Vec<Operation>) -> Vec<Outcome> {
        let (sender, receiver) = mpsc::channel();
        self.engine().apply(operations, Box::new(move |outcomes| sender.send(outcomes).unwrap()));
        receiver.recv().unwrap()
    }

    /// Carries out a request that has no identity.
    pub(in crate::engine::embedded) fn send(&self, request: Request) -> Outcome {
        self.apply(vec![Operation { identity: None, request }]).remove(0)
    }

    /// Carries out a request that has this identity.
    pub(in crate::engine::embedded) fn send_as(&self, sequence: u64, request: Request) -> Outcome {
        let identity = Some(Identity { session: SessionId(7), sequence });
        self.apply(vec![Operation { identity, request }]).remove(0)
    }

    /// An identity that was not used before.
    pub(in crate::engine::embedded) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Keys in a space, but for what a start reads of objects and their contents.
    pub(in crate::engine::embedded) fn stored(&self, space: Space) -> usize {
        let entries = self.store.range(space, KeyRange::ALL, Direction::Forward);
        entries.map(|entry| entry.unwrap().0).filter(|key| !key.starts_with(&[0; 8])).count()
    }

    /// Waits until what was discarded is removed, and its mark too.
    pub(in crate::engine::embedded) fn wait_until_swept(&self, space: Space) {
        let begin = Instant::now();
        let discarded = [&[0; 8][..], &[super::record::Part::Discarded as u8]].concat();
        let left = || self.store.range(space, KeyRange::prefix(&discarded), Direction::Forward).count();
        while left() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(30), "discarded contents are not removed");
            std::thread::yield_now();
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            let _ = engine.close();
        }
    }
}

fn engine(store: &Arc<dyn Store>) -> Arc<Embedded> {
    let options = EmbeddedOptions {
        cluster_id: 1,
        boot_epoch: 1,
        attempts: 16,
        tombstone_ms: 60_000,
        unheard_items: 1_000,
        unheard_bytes: u64::MAX,
        value_bytes: 8 << 20,
        tail_cache_bytes: 1 << 20,
    };
    Embedded::open(Arc::clone(store), None, Clock::start(), &options).unwrap()
}

/// The bytes of an integer.
pub(in crate::engine::embedded) fn integer(value: i64) -> Bytes {
    encode(&Value::Integer(value.into())).unwrap().into()
}

/// The bytes of a float.
pub(in crate::engine::embedded) fn float(value: f64) -> Bytes {
    encode(&Value::Float(value)).unwrap().into()
}

/// The bytes of a text.
pub(in crate::engine::embedded) fn text(value: &str) -> Bytes {
    encode(&Value::Text(value.to_owned())).unwrap().into()
}

/// An owner.
pub(in crate::engine::embedded) fn owner(instance: &str) -> Option<v1::Owner> {
    Some(v1::Owner { instance: instance.to_owned() })
}
