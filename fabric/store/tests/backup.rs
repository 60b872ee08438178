//! A backup is the state between two commits, whatever is committed while it is taken, and is put back whole or not at
//! all, into either store.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use perper_store::{
    Backup, BackupHeader, BackupReader, ClusterId, DataFolder, Direction, Durability, ErrorKind,
    JournalOptions, JournaledStore, KeyRange, MemoryStore, Result, Space, Store, StoreKind, WriteBatch,
    restore,
};
use tempfile::TempDir;

type Content = BTreeMap<(Space, Vec<u8>), Bytes>;

/// Longer than anything here takes, so that a fault ends a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

const ID: ClusterId = ClusterId(0xC1);

/// A store behind a journal so small that checkpoints come in the middle of everything.
fn open(kind: StoreKind, folder: &Path) -> Arc<dyn Store> {
    let small = JournalOptions { rotate_bytes: 30_000, stall_bytes: 100_000 };
    match kind {
        StoreKind::Sled => {
            Arc::new(JournaledStore::sled(folder, Durability::Process, small).expect("sled opens"))
        }
        _ => Arc::new(JournaledStore::fjall(folder, Durability::Process, small).expect("fjall opens")),
    }
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn content(store: &dyn Store) -> Content {
    let entries = Space::ALL.into_iter().flat_map(|space| {
        let entries = store.range(space, KeyRange::ALL, Direction::Forward).map(move |entry| (space, entry));
        entries.collect::<Vec<_>>()
    });
    entries
        .map(|(space, entry)| {
            let (key, value) = entry.expect("an entry");
            ((space, key.to_vec()), value)
        })
        .collect()
}

fn begin(store: &dyn Store) -> Backup {
    store.backup(ID, 7, 0).expect("a backup begins")
}

fn rest(backup: Backup) -> Vec<u8> {
    backup.map(|bytes| bytes.expect("bytes of the backup")).fold(Vec::new(), |mut all, bytes| {
        all.extend_from_slice(&bytes);
        all
    })
}

fn put_back(bytes: &[u8], folder: &Path, kind: StoreKind) -> Result<BackupHeader> {
    let mut backup = BackupReader::open(Cursor::new(bytes))?;
    let header = backup.header().clone();
    restore(&mut backup, folder, kind, header.cluster_id, &WriteBatch::new())?;
    Ok(header)
}

/// What the data folder holds that is made of a backup.
fn restored(bytes: &[u8], kind: StoreKind) -> Content {
    let folder = temporary();
    put_back(bytes, folder.path(), kind).expect("it is restored");
    let folder = DataFolder::open(folder.path(), kind).expect("it is a data folder");
    assert_eq!((folder.cluster_id(), folder.boot_epoch()), (ID, 8));
    content(&*folder.open_store(Durability::Process).expect("its store"))
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }

    fn space(&mut self) -> Space {
        Space::ALL[self.below(9) as usize]
    }

    fn key(&mut self) -> Vec<u8> {
        format!("{:03}", self.below(400)).into_bytes()
    }

    fn value(&mut self) -> Bytes {
        let length = if self.below(40) == 0 { 150_000 } else { self.below(600) };
        vec![self.below(256) as u8; length as usize].into()
    }

    /// Changes of every kind, noted in the model.
    fn batch(&mut self, model: &mut Content) -> WriteBatch {
        let mut batch = WriteBatch::new();
        for _ in 0..=self.below(5) {
            let (space, key) = (self.space(), self.key());
            match self.below(10) {
                0 => {
                    let end = [&key[..2], b"~"].concat();
                    batch.delete_range(space, &key, &end);
                    model.retain(|(at, other), _| *at != space || *other < key || *other >= end);
                }
                1..=3 => {
                    batch.delete(space, &key);
                    model.remove(&(space, key));
                }
                _ => {
                    let value = self.value();
                    if model.contains_key(&(space, key.clone())) {
                        batch.put(space, &key, value.clone());
                    } else {
                        batch.put_new(space, &key, value.clone());
                    }
                    model.insert((space, key), value);
                }
            }
        }
        batch
    }
}

#[test]
fn what_is_restored_was_the_state_between_two_commits() {
    for (kind, other) in [(StoreKind::Sled, StoreKind::Fjall), (StoreKind::Fjall, StoreKind::Sled)] {
        for seed in 1..=3 {
            let folder = temporary();
            let store = open(kind, folder.path());
            let (mut random, mut model) = (Random(seed * 77), Content::new());
            for _ in 0..600 {
                store.commit(&[random.batch(&mut model)]).expect("a commit");
            }
            let backup = begin(&*store);
            let mut bytes = Vec::new();
            // The state after each commit since it began.
            let mut states = vec![model.clone()];
            for next in backup {
                bytes.extend_from_slice(&next.expect("bytes of the backup"));
                for _ in 0..random.below(6) {
                    store.commit(&[random.batch(&mut model)]).expect("a commit");
                    states.push(model.clone());
                }
            }
            store.close().expect("it closes");
            let found = restored(&bytes, if seed % 2 == 0 { kind } else { other });
            let moment = states.iter().position(|state| *state == found);
            let moment = moment.unwrap_or_else(|| panic!("{kind}, seed {seed}: no state that ever was"));
            assert!(moment > 0, "{kind}, seed {seed}: nothing was written meanwhile");
        }
    }
}

/// Accounts whose sum no batch changes, in two spaces, and the number of the batch.
fn transfer(number: u64, random: &mut Random, balances: &mut [i64]) -> WriteBatch {
    let [from, to] = [0, 0].map(|_| random.below(balances.len() as u64) as usize);
    let amount = random.below(100) as i64;
    balances[from] -= amount;
    balances[to] += amount;
    let mut batch = WriteBatch::new();
    for account in [from, to] {
        let space = if account % 2 == 0 { Space::Dictionaries } else { Space::Lists };
        batch.put_slice(space, &(account as u32).to_be_bytes(), &balances[account].to_be_bytes());
    }
    batch.put_slice(Space::Meta, b"last", &number.to_be_bytes());
    batch
}

#[test]
fn backups_under_load_have_everything_acknowledged_before_and_nothing_by_halves() {
    for kind in [StoreKind::Sled, StoreKind::Fjall] {
        let folder = temporary();
        let store = open(kind, folder.path());
        let (acknowledged, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let writer = thread::spawn({
            let (store, acknowledged, over) =
                (Arc::clone(&store), Arc::clone(&acknowledged), Arc::clone(&over));
            move || {
                let (mut random, mut balances) = (Random(5), vec![0; 3_000]);
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    store.commit(&[transfer(number, &mut random, &mut balances)]).expect("a commit");
                    acknowledged.store(number, Ordering::SeqCst);
                }
            }
        });
        let wait_for = |number| {
            let start = Instant::now();
            while acknowledged.load(Ordering::SeqCst) < number {
                assert!(!writer.is_finished() && start.elapsed() < PATIENCE, "nothing is written");
                thread::yield_now();
            }
        };
        for round in 1..=4 {
            wait_for(round * 1_000);
            let before = acknowledged.load(Ordering::SeqCst);
            let mut backup = begin(&*store);
            let mut bytes = Vec::new();
            // Half of it before more is written, half of it after.
            for _ in 0..2 {
                bytes.extend_from_slice(&backup.next().expect("more").expect("bytes"));
            }
            wait_for(before + 500);
            bytes.extend(rest(backup));
            let found = restored(&bytes, kind);
            let last = &found[&(Space::Meta, b"last".to_vec())];
            let last = u64::from_be_bytes(last[..].try_into().expect("a number"));
            assert!(last >= before + 500, "{kind}: {last} is there, {before} was acknowledged before");
            let (mut random, mut balances) = (Random(5), vec![0; 3_000]);
            for number in 1..=last {
                drop(transfer(number, &mut random, &mut balances));
            }
            for (account, balance) in balances.iter().enumerate() {
                let space = if account % 2 == 0 { Space::Dictionaries } else { Space::Lists };
                let stored = found.get(&(space, (account as u32).to_be_bytes().to_vec()));
                let stored =
                    stored.map_or(0, |stored| i64::from_be_bytes(stored[..].try_into().expect("a number")));
                assert_eq!(stored, *balance, "{kind}: account {account} after batch {last}");
            }
        }
        over.store(true, Ordering::SeqCst);
        writer.join().expect("the writer");
        store.close().expect("it closes");
    }
}

/// A small backup with entries, and changes that were made while it was taken.
fn small() -> Vec<u8> {
    let folder = temporary();
    let store = open(StoreKind::Fjall, folder.path());
    let put = |number: u8| {
        let mut batch = WriteBatch::new();
        batch.put_slice(Space::Lists, &[number], b"value");
        store.commit(&[batch]).expect("a put");
    };
    put(1);
    put(2);
    let backup = begin(&*store);
    put(3);
    let mut batch = WriteBatch::new();
    batch.delete(Space::Lists, &[1]);
    store.commit(&[batch]).expect("a delete");
    let bytes = rest(backup);
    let found = restored(&bytes, StoreKind::Sled);
    assert_eq!(found.keys().map(|(_, key)| key[0]).collect::<Vec<_>>(), [2, 3]);
    bytes
}

#[test]
fn a_backup_that_is_cut_short_is_refused_wherever_that_is() {
    let whole = small();
    for length in 0..whole.len() {
        let mut reader = match BackupReader::open(&whole[..length]) {
            Ok(reader) => reader,
            Err(error) if length < 8 => {
                assert_eq!(error.to_string(), "this is no backup of a Fabric");
                continue;
            }
            Err(error) => {
                assert!(error.to_string().contains("the backup is not whole"), "{length} bytes: {error}");
                continue;
            }
        };
        let error = reader.check().expect_err("it is not whole");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("the backup is not whole: it breaks off after"), "{error}");
    }
}

#[test]
fn a_backup_with_a_single_wrong_byte_is_refused_wherever_that_is() {
    let whole = small();
    for place in 0..whole.len() {
        let mut altered = whole.clone();
        altered[place] ^= 0x10;
        BackupReader::open(&altered[..]).and_then(|mut reader| reader.check()).expect_err("it is damaged");
    }
    let mut longer = whole.clone();
    longer.push(0);
    let error = BackupReader::open(&longer[..]).and_then(|mut reader| reader.check()).expect_err("too long");
    assert!(error.to_string().contains("more follows after its end"), "{error}");
}

#[test]
fn a_record_that_is_missing_or_comes_twice_is_noticed() {
    let whole = small();
    // The header's length stands in it; each record's before it.
    let header = 16 + u32::from_le_bytes(whole[12..16].try_into().expect("four bytes")) as usize + 8;
    let length = 16 + u64::from_le_bytes(whole[header..header + 8].try_into().expect("eight bytes")) as usize;
    let (head, record, tail) = (&whole[..header], &whole[header..header + length], &whole[header + length..]);
    for parts in [vec![head, tail], vec![head, record, record, tail]] {
        let error = BackupReader::open(&parts.concat()[..])
            .and_then(|mut reader| reader.check())
            .expect_err("damaged");
        assert!(error.to_string().contains("is not what was written"), "{error}");
    }
}

#[test]
fn nothing_of_a_damaged_backup_stays_and_the_folder_can_be_used() {
    let whole = small();
    for kind in [StoreKind::Sled, StoreKind::Fjall] {
        let folder = temporary();
        let error = put_back(&whole[..whole.len() - 1], folder.path(), kind).expect_err("it is not whole");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
        put_back(&whole, folder.path(), kind).expect("now it is whole");
        DataFolder::open(folder.path(), kind).expect("a data folder");
    }
}

#[test]
fn only_an_empty_folder_is_restored_into() {
    let whole = small();
    let folder = temporary();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let error = put_back(&whole, folder.path(), StoreKind::Sled).expect_err("it is somebody's");
    assert!(error.to_string().contains("thesis.tex"), "{error}");

    let folder = temporary();
    drop(DataFolder::open(folder.path(), StoreKind::Sled).expect("a new folder"));
    let error = put_back(&whole, folder.path(), StoreKind::Sled).expect_err("it is a data folder");
    assert!(error.to_string().contains("holds data already"), "{error}");

    let folder = temporary();
    let held = DataFolder::open(folder.path(), StoreKind::Sled).expect("a new folder");
    let error = put_back(&whole, folder.path(), StoreKind::Sled).expect_err("a server runs");
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(held);
}

#[test]
fn a_second_backup_waits_for_the_first_to_end_in_whatever_way() {
    let folder = temporary();
    let store = open(StoreKind::Sled, folder.path());
    let noted = || fs::exists(folder.path().join("journal/backup.changes")).unwrap();
    let first = begin(&*store);
    assert!(noted());
    let error = store.backup(ID, 1, 0).map(drop).expect_err("one at a time");
    assert_eq!(error.kind(), ErrorKind::Busy);
    drop(first);
    assert!(!noted());

    let mut first = begin(&*store);
    first.next().expect("a header").expect("bytes");
    let mut batch = WriteBatch::new();
    batch.put_slice(Space::Lists, b"key", b"meanwhile");
    store.commit(&[batch]).expect("a put");
    // Entries first, then what was committed meanwhile: in the middle of reading that back.
    first.next().expect("an entry").expect("bytes");
    first.next().expect("a change").expect("bytes");
    assert!(noted());
    let error = store.backup(ID, 1, 0).map(drop).expect_err("one at a time");
    assert_eq!(error.kind(), ErrorKind::Busy);
    drop(first);
    assert!(!noted());
    let second = rest(begin(&*store));
    assert!(!noted());
    BackupReader::open(&second[..]).unwrap().check().expect("a whole backup");
    drop(begin(&*store));
    store.close().unwrap();
}

#[test]
fn what_a_crash_left_of_a_backup_is_cleared_away() {
    let folder = temporary();
    drop(open(StoreKind::Fjall, folder.path()));
    let left = folder.path().join("journal/backup.changes");
    fs::write(&left, "whatever").unwrap();
    let store = open(StoreKind::Fjall, folder.path());
    assert!(!left.exists());
    store.close().unwrap();
}

#[test]
fn a_backup_of_a_store_that_is_closed_fails() {
    let folder = temporary();
    let store = open(StoreKind::Fjall, folder.path());
    let mut backup = begin(&*store);
    backup.next().expect("a header").expect("bytes");
    store.close().unwrap();
    let error = backup.next().expect("an answer").expect_err("the store is closed");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(backup.next().is_none());
    assert_eq!(store.backup(ID, 1, 0).map(drop).expect_err("it is closed").kind(), ErrorKind::Closed);
}

#[test]
fn what_is_only_in_memory_has_no_backup() {
    let error = MemoryStore::new().backup(ID, 1, 0).map(drop).expect_err("there is nothing on disk");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
}

#[test]
fn a_backup_comes_to_its_end_however_fast_streams_grow() {
    for kind in [StoreKind::Sled, StoreKind::Fjall] {
        let folder = temporary();
        let store = open(kind, folder.path());
        let mut number = 0_u32;
        // Three streams that grow at their ends, by more than the backup reads in a step.
        let mut write = |count| {
            for _ in 0..count {
                number += 1;
                let mut batch = WriteBatch::new();
                for stream in 0..3_u8 {
                    let key = [&[stream][..], &number.to_be_bytes()].concat();
                    batch.put_new(Space::Items, &key, vec![stream; 60_000].into());
                }
                store.commit(&[batch]).expect("a commit");
            }
        };
        write(10);
        let mut steps = 0;
        for bytes in begin(&*store) {
            bytes.expect("bytes of the backup");
            steps += 1;
            assert!(steps < 300, "{kind}: it runs after the writer");
            if steps < 100 {
                write(6);
            }
        }
        store.close().expect("it closes");
    }
}
