use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::MemoryStore;

/// A store in memory that outlives the journal over it, counts, fails and can be held.
#[derive(Default)]
struct Base {
    store: MemoryStore,
    puts: AtomicUsize,
    /// Commits that succeed before one fails; all do if there is no number.
    commits_left: Mutex<Option<usize>>,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    /// Commits wait.
    on: bool,
    /// One does.
    waits: bool,
}

impl Base {
    fn hold(&self, on: bool) {
        self.held.lock().unwrap().on = on;
        self.changed.notify_all();
    }

    /// Until a commit is held.
    fn wait_for_commit(&self) {
        drop(self.changed.wait_while(self.held.lock().unwrap(), |held| !held.waits).unwrap());
    }

    fn pass(&self) {
        let mut held = self.held.lock().unwrap();
        held.waits = true;
        self.changed.notify_all();
        let mut held = self.changed.wait_while(held, |held| held.on).unwrap();
        held.waits = false;
    }
}

struct Shared(Arc<Base>);

impl Store for Shared {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        self.0.pass();
        let puts = group.iter().flat_map(WriteBatch::iter).filter(|op| matches!(op, Op::Put { .. })).count();
        if let Some(left) = &mut *self.0.commits_left.lock().unwrap() {
            *left = left.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Io, "the disk is on fire"))?;
        }
        self.0.puts.fetch_add(puts, Ordering::SeqCst);
        self.0.store.commit(group)
    }

    fn may_wait(&self) -> bool {
        false
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.0.store.get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.0.store.range(space, range, direction)
    }

    fn disk_usage(&self) -> Result<u64> {
        self.0.store.disk_usage()
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }

    fn kind(&self) -> StoreKind {
        StoreKind::Memory
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }
}

impl crate::base::Base for Shared {
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn keys(&self, space: Space, start: &[u8], end: &[u8]) -> Box<dyn Iterator<Item = Result<Bytes>> + Send> {
        let range = self.0.store.range(space, KeyRange::new::<&[u8]>(start..end), Direction::Forward);
        Box::new(range.map(|entry| entry.map(|(key, _)| key)))
    }
}

/// Sizes with which nothing rotates by itself.
const LARGE: JournalOptions = JournalOptions { rotate_bytes: u64::MAX, stall_bytes: u64::MAX };

fn open_with(folder: &Path, base: &Arc<Base>, options: JournalOptions) -> Result<JournaledStore> {
    JournaledStore::open(folder, Box::new(Shared(Arc::clone(base))), Durability::Sync, options)
}

fn open(folder: &Path, base: &Arc<Base>) -> JournaledStore {
    open_with(folder, base, LARGE).unwrap()
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(store: &JournaledStore, key: &[u8], value: impl Into<Bytes>) {
    let mut batch = WriteBatch::new();
    batch.put(Space::Lists, key, value.into());
    store.commit(&[batch]).unwrap();
}

fn put_new(store: &JournaledStore, key: &[u8], value: impl Into<Bytes>) {
    let mut batch = WriteBatch::new();
    batch.put_new(Space::Lists, key, value.into());
    store.commit(&[batch]).unwrap();
}

fn delete(store: &JournaledStore, key: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.delete(Space::Lists, key);
    store.commit(&[batch]).unwrap();
}

fn content(store: &dyn Store) -> BTreeMap<Vec<u8>, Bytes> {
    let entries = store.range(Space::Lists, KeyRange::ALL, Direction::Forward).map(Result::unwrap);
    entries.map(|(key, value)| (key.to_vec(), value)).collect()
}

fn keys(store: &dyn Store) -> Vec<Vec<u8>> {
    content(store).into_keys().collect()
}

fn rotate(store: &JournaledStore) {
    store.rotate(&mut store.writer()).unwrap();
}

/// Ends the layer and waits until the store below has it.
fn checkpoint(store: &JournaledStore) {
    rotate(store);
    store.checkpoints.wait_until_idle().unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_file_cut_anywhere_yields_the_whole_records_before() {
    let folder = temporary();
    let store = open(folder.path(), &Arc::default());
    let mut ends = vec![store.writer().file.size()];
    for number in 0..4_u8 {
        let mut first = WriteBatch::new();
        first.put_slice(Space::Lists, &[number], &[number; 20]);
        let mut second = WriteBatch::new();
        second.put_slice(Space::Lists, &[number, 1], b"");
        store.commit(&[first, second]).unwrap();
        ends.push(store.writer().file.size());
    }
    drop(store);
    let [file] = &files(folder.path())[..] else { panic!("there should be one file") };
    let bytes = fs::read(file).unwrap();
    let written = *ends.last().unwrap() as usize;
    assert!(bytes[written..].iter().all(|byte| *byte == 0), "what is taken in advance is zeros");

    for cut in 0..=written {
        let whole = ends.iter().filter(|end| **end <= cut as u64).count().saturating_sub(1);
        // The file ends there, or what was taken in advance follows, or something that was there before.
        for tail in [&[][..], &[0; 100], &[0xA5; 100]] {
            // Each end with nothing behind it, and some of them with more.
            if !tail.is_empty() && cut % 5 != 0 {
                continue;
            }
            let folder = temporary();
            let file = folder.path().join(file.file_name().unwrap());
            fs::write(&file, [&bytes[..cut], tail].concat()).unwrap();
            let base = Arc::default();
            let store = open(folder.path(), &base);
            assert_eq!(content(&store).len(), whole * 2, "cut at {cut}");
            // What is written next is found as well, although the torn file is no longer the last one.
            put(&store, b"next", "value");
            drop(store);
            let again = open(folder.path(), &base);
            assert_eq!(content(&again).len(), whole * 2 + 1, "cut at {cut}, opened again");
        }
    }
}

#[test]
fn damage_before_the_last_file_is_refused() {
    let folder = temporary();
    let base = Arc::<Base>::default();
    base.hold(true);
    let store = open(folder.path(), &base);
    put(&store, b"first", "value");
    rotate(&store);
    put(&store, b"second", "value");
    // The checkpoint fails, so that both files stay.
    *base.commits_left.lock().unwrap() = Some(0);
    base.hold(false);
    drop(store);
    let files = files(folder.path());
    assert_eq!(files.len(), 2);
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes[40] ^= 1;
    fs::write(&files[0], bytes).unwrap();
    let error = open_with(folder.path(), &Arc::default(), LARGE).err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(files[0].to_str().unwrap()), "{error}");
}

#[test]
fn a_record_of_another_generation_is_not_taken_for_one_of_this() {
    let folder = temporary();
    let store = open(folder.path(), &Arc::default());
    put(&store, b"key", "value");
    drop(store);
    let file = files(folder.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 9;
    fs::write(file.with_file_name("00000000000000000009.journal"), bytes).unwrap();
    fs::remove_file(file).unwrap();
    assert!(content(&open(folder.path(), &Arc::default())).is_empty());
}

#[test]
fn what_lives_shortly_never_reaches_the_store() {
    let folder = temporary();
    let base = Arc::default();
    let store = open(folder.path(), &base);
    for number in 0..100_u8 {
        put_new(&store, &[number], "value");
        put(&store, &[number], "another");
        if number % 2 == 0 {
            delete(&store, &[number]);
        }
    }
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::Lists, &[50], &[100]);
    store.commit(&[batch]).unwrap();
    checkpoint(&store);
    assert_eq!(base.puts.load(Ordering::SeqCst), 25);
    assert_eq!(keys(&base.store), (0..50_u8).filter(|n| n % 2 == 1).map(|n| vec![n]).collect::<Vec<_>>());
    assert_eq!(files(folder.path()).len(), 1, "the file of the checkpoint is gone");
}

#[test]
fn what_is_deleted_after_its_checkpoint_is_deleted_below() {
    let folder = temporary();
    let base = Arc::default();
    let store = open(folder.path(), &base);
    for key in [b"a", b"b", b"c", b"d"] {
        put_new(&store, key, "value");
    }
    checkpoint(&store);
    delete(&store, b"a");
    // New again, and gone again: the one below must not shine through.
    put_new(&store, b"a", "again");
    delete(&store, b"a");
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::Lists, b"b", b"d");
    store.commit(&[batch]).unwrap();
    assert_eq!(keys(&store), [b"d"]);
    assert_eq!(store.get(Space::Lists, b"a").unwrap(), None);
    checkpoint(&store);
    assert_eq!(keys(&base.store), [b"d"]);
}

#[test]
fn a_range_is_deleted_in_the_frozen_layer_too() {
    let folder = temporary();
    let base = Arc::<Base>::default();
    let store = open(folder.path(), &base);
    base.hold(true);
    put_new(&store, b"a", "value");
    put_new(&store, b"b", "value");
    rotate(&store);
    put_new(&store, b"aa", "value");
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::Lists, b"a", b"b");
    store.commit(&[batch]).unwrap();
    assert_eq!(keys(&store), [b"b"]);
    base.hold(false);
    store.checkpoints.wait_until_idle().unwrap();
    assert_eq!(keys(&store), [b"b"]);
    checkpoint(&store);
    assert_eq!(keys(&base.store), [b"b"]);
}

/// A layer of several of a checkpoint's commits, of which the first succeeds.
fn cut_a_checkpoint_short(folder: &Path, base: &Arc<Base>) {
    let store = open(folder, base);
    for number in 0..5_u8 {
        put_new(&store, &[number], vec![number; 600_000]);
    }
    base.hold(true);
    rotate(&store);
    // Else it could leave out what the next layer changes again.
    base.wait_for_commit();
    delete(&store, &[0]);
    put(&store, &[4], "new");
    *base.commits_left.lock().unwrap() = Some(1);
    base.hold(false);
    let error = store.checkpoints.wait_until_idle().unwrap_err();
    assert!(error.to_string().contains("on fire"), "{error}");
    let mut batch = WriteBatch::new();
    batch.put_slice(Space::Lists, b"late", b"");
    assert!(store.commit(&[batch]).is_err(), "nothing is acknowledged after a failed checkpoint");
    assert!(store.close().is_err());
    *base.commits_left.lock().unwrap() = None;
    assert!(base.store.get(Space::Lists, &[0]).unwrap().is_some(), "the first part was written");
    assert!(base.store.get(Space::Lists, &[4]).unwrap().is_none(), "the last was not");
}

#[test]
fn a_checkpoint_cut_short_is_made_up_for() {
    let folder = temporary();
    let base = Arc::default();
    cut_a_checkpoint_short(folder.path(), &base);
    let check = |store: &dyn Store| {
        assert_eq!(keys(store), [[1], [2], [3], [4]], "a deleted key is back, or another is gone");
        assert_eq!(store.get(Space::Lists, &[4]).unwrap().unwrap(), "new");
    };
    let store = open(folder.path(), &base);
    check(&store);
    store.close().unwrap();
    check(&base.store);
    assert!(files(folder.path()).is_empty(), "a closed store leaves no journal");
    check(&open(folder.path(), &base));
}

#[test]
fn what_changes_again_before_a_checkpoint_comes_to_it_is_not_written_down() {
    let folder = temporary();
    let base = Arc::<Base>::default();
    base.hold(true);
    let store = open(folder.path(), &base);
    // Larger than a batch of a checkpoint: it is held at this one, before it has looked at the later keys.
    put(&store, &[0], vec![0; 1 << 20]);
    for number in 1..=200_u8 {
        put(&store, &[number], "former");
    }
    rotate(&store);
    base.wait_for_commit();
    let mut batch = WriteBatch::new();
    batch.put_slice(Space::Lists, &[90], b"latter");
    for number in 100..=200_u8 {
        batch.delete(Space::Lists, &[number]);
    }
    store.commit(&[batch]).unwrap();
    base.hold(false);
    store.checkpoints.wait_until_idle().unwrap();
    assert_eq!(base.puts.load(Ordering::SeqCst), 99, "keys 0 to 99, without 90");
    let check = |store: &dyn Store| {
        assert_eq!(keys(store), (0..100_u8).map(|number| vec![number]).collect::<Vec<_>>());
        assert_eq!(store.get(Space::Lists, &[90]).unwrap().unwrap(), "latter");
    };
    check(&store);
    // As after a crash.
    drop(store);
    let store = open(folder.path(), &base);
    check(&store);
    store.close().unwrap();
    check(&base.store);
}

#[test]
fn a_key_that_is_made_anew_does_not_keep_its_former_deletion_from_the_store() {
    let folder = temporary();
    let base = Arc::<Base>::default();
    let store = open(folder.path(), &base);
    put(&store, &[150], "old");
    rotate(&store);
    store.checkpoints.wait_until_idle().unwrap();
    assert!(base.store.get(Space::Lists, &[150]).unwrap().is_some());
    base.hold(true);
    // Held at this one, as above.
    put(&store, &[0], vec![0; 1 << 20]);
    for number in 1..=100_u8 {
        put(&store, &[number], "other");
    }
    delete(&store, &[150]);
    rotate(&store);
    base.wait_for_commit();
    let mut batch = WriteBatch::new();
    batch.put_new(Space::Lists, &[150], Bytes::from_static(b"new"));
    store.commit(&[batch]).unwrap();
    base.hold(false);
    store.checkpoints.wait_until_idle().unwrap();
    delete(&store, &[150]);
    assert_eq!(store.get(Space::Lists, &[150]).unwrap(), None, "the old value is back");
    store.close().unwrap();
    assert_eq!(base.store.get(Space::Lists, &[150]).unwrap(), None);
}

#[test]
fn commits_wait_for_a_checkpoint_that_lags_too_far_behind() {
    let folder = temporary();
    let base = Arc::<Base>::default();
    base.hold(true);
    let options = JournalOptions { rotate_bytes: 1_000, stall_bytes: 3_000 };
    let store = Arc::new(open_with(folder.path(), &base, options).unwrap());
    let committed = Arc::new(AtomicUsize::new(0));
    let writer = thread::spawn({
        let (store, committed) = (Arc::clone(&store), Arc::clone(&committed));
        move || {
            for number in 0..100_u8 {
                put(&store, &[number], vec![0; 100]);
                committed.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    // One layer is frozen after 1,000 bytes, the next may have 3,000.
    while committed.load(Ordering::SeqCst) < 25 {
        assert!(!writer.is_finished());
        thread::yield_now();
    }
    assert!(files(folder.path()).len() == 2);
    base.hold(false);
    writer.join().unwrap();
    assert_eq!(committed.load(Ordering::SeqCst), 100);
    assert_eq!(keys(&*store).len(), 100);
    store.close().unwrap();
    assert_eq!(keys(&base.store).len(), 100);
}

#[test]
fn a_reader_sees_all_levels_while_they_move() {
    let folder = temporary();
    let base = Arc::default();
    let options = JournalOptions { rotate_bytes: 2_000, stall_bytes: 4_000 };
    let store = Arc::new(open_with(folder.path(), &base, options).unwrap());
    for number in 0..200_u8 {
        put(&store, &[number], "old");
    }
    let writer = thread::spawn({
        let store = Arc::clone(&store);
        move || {
            for round in 0..20 {
                for number in 0..200_u8 {
                    put(&store, &[number], format!("round {round}"));
                }
            }
        }
    });
    let mut rounds = 0;
    while !writer.is_finished() || rounds == 0 {
        rounds += 1;
        for direction in [Direction::Forward, Direction::Reverse] {
            let found = store.range(Space::Lists, KeyRange::ALL, direction).map(|entry| entry.unwrap().0[0]);
            let mut found: Vec<u8> = found.collect();
            if direction == Direction::Reverse {
                found.reverse();
            }
            assert_eq!(found, (0..200).collect::<Vec<_>>());
        }
        for number in 0..200_u8 {
            assert!(store.get(Space::Lists, &[number]).unwrap().is_some());
        }
    }
    writer.join().unwrap();
}
