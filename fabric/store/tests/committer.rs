//! The committer over a store that can be held, made to fail, and asked what it was given.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};

use bytes::Bytes;
use perper_store::{
    Committer, CommitterOptions, Direction, Durability, Entries, Error, ErrorKind, HeadRoom, KeyRange,
    MemoryStore, Result, Space, Store, StoreKind, WriteBatch,
};

struct Scripted {
    inner: MemoryStore,
    durability: Durability,
    gate: (Mutex<bool>, Condvar),
    fails: AtomicBool,
    panics: AtomicBool,
    groups: Mutex<Vec<usize>>,
}

impl Scripted {
    fn new(durability: Durability) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(),
            durability,
            gate: (Mutex::new(true), Condvar::new()),
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            groups: Mutex::default(),
        })
    }

    fn set_gate(&self, open: bool) {
        *self.gate.0.lock().unwrap() = open;
        self.gate.1.notify_all();
    }

    fn groups(&self) -> Vec<usize> {
        self.groups.lock().unwrap().clone()
    }
}

impl Store for Scripted {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        self.groups.lock().unwrap().push(group.len());
        let open = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
        assert!(!self.panics.load(Ordering::SeqCst), "as told");
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Io, "the disk is on fire"));
        }
        self.inner.commit(group)
    }

    fn may_wait(&self) -> bool {
        self.durability == Durability::Sync
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.inner.get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.inner.range(space, range, direction)
    }

    fn disk_usage(&self) -> Result<u64> {
        self.inner.disk_usage()
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Memory
    }

    fn durability(&self) -> Durability {
        self.durability
    }
}

fn start(store: &Arc<Scripted>) -> Committer {
    Committer::start(Arc::clone(store) as Arc<dyn Store>, None, CommitterOptions::default()).unwrap()
}

fn batch(key: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put_slice(Space::Meta, &key.to_be_bytes(), b"value");
    batch
}

fn has(store: &Scripted, key: u64) -> bool {
    store.get(Space::Meta, &key.to_be_bytes()).unwrap().is_some()
}

/// Holds the store in a first commit, so that what comes next must queue.
fn hold(store: &Arc<Scripted>, committer: &Committer, told: &mpsc::Sender<(u64, Result<()>)>) {
    store.set_gate(false);
    let told = told.clone();
    committer.enqueue(batch(0), move |result| told.send((0, result)).unwrap());
    while store.groups().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn what_waits_becomes_one_group_and_is_told_in_order() {
    let store = Scripted::new(Durability::Sync);
    let committer = start(&store);
    let (tell, told) = mpsc::channel();
    hold(&store, &committer, &tell);
    for key in 1..100 {
        let tell = tell.clone();
        committer.enqueue(batch(key), move |result| tell.send((key, result)).unwrap());
    }
    assert!(committer.stats().queued_bytes > 0);
    assert!(told.try_recv().is_err(), "nothing is told before it is committed");
    store.set_gate(true);
    for key in 0..100 {
        let (told, result) = told.recv().unwrap();
        assert_eq!(told, key);
        result.unwrap();
    }
    assert_eq!(store.groups(), [1, 99]);
    assert_eq!((committer.stats().groups, committer.stats().batches), (2, 100));
}

#[test]
fn a_large_group_is_committed_in_parts() {
    let store = Scripted::new(Durability::Sync);
    let options = CommitterOptions { max_group_bytes: 30, ..CommitterOptions::default() };
    let committer = Committer::start(Arc::clone(&store) as Arc<dyn Store>, None, options).unwrap();
    let (tell, told) = mpsc::channel();
    hold(&store, &committer, &tell);
    // 13 bytes each, and one that is larger than a part alone.
    let mut large = batch(4);
    large.put(Space::Items, b"large", Bytes::from(vec![0; 1000]));
    let commits: Vec<_> =
        (1..4).map(batch).chain([large, batch(5)]).map(|batch| committer.commit(batch)).collect();
    store.set_gate(true);
    commits.into_iter().for_each(|commit| commit.wait().unwrap());
    assert_eq!(store.groups(), [1, 2, 1, 1, 1]);
    drop(told);
}

#[test]
fn after_an_error_nothing_is_acknowledged() {
    let store = Scripted::new(Durability::Sync);
    let committer = start(&store);
    let (tell, told) = mpsc::channel();
    hold(&store, &committer, &tell);
    for key in 1..4 {
        let tell = tell.clone();
        committer.enqueue(batch(key), move |result| tell.send((key, result)).unwrap());
    }
    store.fails.store(true, Ordering::SeqCst);
    store.set_gate(true);
    for key in 0..4 {
        let (told, result) = told.recv().unwrap();
        assert_eq!(told, key);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
    }
    store.fails.store(false, Ordering::SeqCst);
    let error = committer.commit(batch(9)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "a store that works again changes nothing");
    assert!(!has(&store, 9));
    assert_eq!(committer.failure().map(|error| error.kind()), Some(ErrorKind::Poisoned));
    assert_eq!(committer.close().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn an_error_of_an_inline_commit_poisons_too() {
    let store = Scripted::new(Durability::Process);
    let committer = start(&store);
    committer.commit(batch(1)).wait().unwrap();
    store.fails.store(true, Ordering::SeqCst);
    assert_eq!(committer.commit(batch(2)).wait().unwrap_err().kind(), ErrorKind::Poisoned);
    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(committer.commit(batch(3)).wait().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(store.groups(), [1, 1]);
}

#[test]
fn a_store_that_panics_is_a_store_that_failed() {
    let store = Scripted::new(Durability::Sync);
    let committer = start(&store);
    store.panics.store(true, Ordering::SeqCst);
    let error = committer.commit(batch(1)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    assert!(error.to_string().contains("as told"), "{error}");
}

#[test]
fn a_completion_that_panics_does_not_silence_the_others() {
    let store = Scripted::new(Durability::Sync);
    let committer = start(&store);
    committer.enqueue(batch(1), |_| panic!("a faulty completion"));
    committer.commit(batch(2)).wait().unwrap();
}

#[test]
fn an_invalid_batch_is_refused_without_harm() {
    let store = Scripted::new(Durability::Sync);
    let committer = start(&store);
    let mut invalid = WriteBatch::new();
    invalid.put_slice(Space::Meta, b"", b"");
    assert_eq!(committer.commit(invalid).wait().unwrap_err().kind(), ErrorKind::InvalidBatch);
    committer.commit(batch(1)).wait().unwrap();
}

#[test]
fn a_full_disk_turns_away_what_grows_and_takes_what_shrinks() {
    let store = Scripted::new(Durability::Process);
    let free = Arc::new(AtomicU64::new(1 << 30));
    let probe = Arc::clone(&free);
    let head_room = HeadRoom::with_probe(1 << 20, move || Ok(probe.load(Ordering::SeqCst))).unwrap();
    let options = CommitterOptions::default();
    let committer = Committer::start(Arc::clone(&store) as Arc<dyn Store>, Some(head_room), options).unwrap();
    committer.commit(batch(1)).wait().unwrap();
    free.store(1 << 20, Ordering::SeqCst);
    // What is written is what makes the committer look at the disk.
    let mut large = WriteBatch::new();
    large.put(Space::Items, b"large", Bytes::from(vec![0; 65 << 20]));
    committer.commit(large).wait().unwrap();
    assert!(!committer.has_head_room());
    assert_eq!(committer.commit(batch(2)).wait().unwrap_err().kind(), ErrorKind::DiskFull);
    assert!(!has(&store, 2));
    let mut shrinks = WriteBatch::new();
    shrinks.delete(Space::Items, b"large");
    shrinks.use_reserve();
    committer.commit(shrinks).wait().unwrap();
    free.store(1 << 30, Ordering::SeqCst);
    assert!(committer.has_head_room());
    committer.commit(batch(3)).wait().unwrap();
}

#[test]
fn closing_commits_what_waits_and_refuses_what_comes() {
    let store = Scripted::new(Durability::Sync);
    let committer = Arc::new(start(&store));
    let (tell, told) = mpsc::channel();
    hold(&store, &committer, &tell);
    let waiting = committer.commit(batch(1));
    let closing = std::thread::spawn({
        let committer = Arc::clone(&committer);
        move || committer.close()
    });
    loop {
        let refused = committer.commit(batch(2));
        if store.groups() == [1]
            && matches!(try_now(refused), Some(Err(error)) if error.kind() == ErrorKind::Closed)
        {
            break;
        }
        std::thread::yield_now();
    }
    store.set_gate(true);
    closing.join().unwrap().unwrap();
    waiting.wait().unwrap();
    assert!(has(&store, 1));
    told.recv().unwrap().1.unwrap();
}

/// The result, if it is there already.
fn try_now(commit: perper_store::Commit) -> Option<Result<()>> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(commit).poll(&mut context) {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn many_threads_commit_inline_and_not() {
    let store = Scripted::new(Durability::Process);
    let committer = start(&store);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let committer = &committer;
            scope.spawn(move || {
                for key in 0..500 {
                    committer.commit(batch(thread << 32 | key)).wait().unwrap();
                }
            });
        }
    });
    assert_eq!(committer.stats().batches, 2000);
    let found = store.range(Space::Meta, KeyRange::ALL, Direction::Forward).count();
    assert_eq!(found, 2000);
}

#[test]
fn public_types_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Committer>();
    shared::<MemoryStore>();
    shared::<perper_store::SledStore>();
    shared::<perper_store::FjallStore>();
    shared::<perper_store::DataFolder>();
    shared::<HeadRoom>();
    shared::<WriteBatch>();
    shared::<Error>();
}
