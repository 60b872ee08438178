//! What every store must do, run for each of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use perper_store::{
    Direction, Durability, ErrorKind, FjallStore, JournalOptions, JournaledStore, KeyRange, MAX_KEY_BYTES,
    MemoryStore, SledStore, Space, Store, WriteBatch,
};

type Model = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

/// What is tested: the stores by themselves, and behind a journal whose layers are small, so that checkpoints happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    Sled,
    Fjall,
    JournaledSled,
    JournaledFjall,
}

fn open(kind: Kind, path: &Path, durability: Durability) -> Arc<dyn Store> {
    let small = || JournalOptions { rotate_bytes: 20_000, stall_bytes: 100_000 };
    match kind {
        Kind::Memory => Arc::new(MemoryStore::new()),
        Kind::Sled => Arc::new(SledStore::open(path, durability).expect("sled opens")),
        Kind::Fjall => Arc::new(FjallStore::open(path, durability).expect("fjall opens")),
        Kind::JournaledSled => Arc::new(JournaledStore::sled(path, durability, small()).expect("sled opens")),
        Kind::JournaledFjall => {
            Arc::new(JournaledStore::fjall(path, durability, small()).expect("fjall opens"))
        }
    }
}

fn put(store: &dyn Store, space: Space, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let mut batch = WriteBatch::new();
    batch.put_slice(space, key.as_ref(), value.as_ref());
    store.commit(&[batch]).expect("a put");
}

fn keys(store: &dyn Store, space: Space, range: KeyRange, direction: Direction) -> Vec<Vec<u8>> {
    store.range(space, range, direction).map(|entry| entry.expect("an entry").0.to_vec()).collect()
}

/// Bytes that no two places share, so that a mix-up shows.
fn pattern(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(next).collect()
}

fn puts_gets_and_deletes(store: &dyn Store) {
    assert_eq!(store.get(Space::Meta, b"a").expect("get"), None);
    put(store, Space::Meta, b"a", b"1");
    put(store, Space::Meta, b"empty", b"");
    assert_eq!(store.get(Space::Meta, b"a").expect("get").as_deref(), Some(&b"1"[..]));
    assert_eq!(store.get(Space::Meta, b"empty").expect("get").as_deref(), Some(&b""[..]));
    put(store, Space::Meta, b"a", b"2");
    assert_eq!(store.get(Space::Meta, b"a").expect("get").as_deref(), Some(&b"2"[..]));
    let mut batch = WriteBatch::new();
    batch.delete(Space::Meta, b"a");
    batch.delete(Space::Meta, b"never there");
    store.commit(&[batch]).expect("deletes");
    assert_eq!(store.get(Space::Meta, b"a").expect("get"), None);
}

fn spaces_are_apart(store: &dyn Store) {
    for space in Space::ALL {
        put(store, space, b"same", space.name());
        put(store, space, [0xFF; 8], space.name());
        put(store, space, [0], space.name());
    }
    for space in Space::ALL {
        let value = store.get(space, b"same").expect("get").expect("it is there");
        assert_eq!(value, space.name().as_bytes());
        for direction in [Direction::Forward, Direction::Reverse] {
            assert_eq!(keys(store, space, KeyRange::ALL, direction).len(), 3, "{space:?} {direction:?}");
        }
    }
    let mut batch = WriteBatch::new();
    batch.delete_range(Space::Lists, b"", &[0xFF; 9]);
    store.commit(&[batch]).expect("a range delete");
    assert!(keys(store, Space::Lists, KeyRange::ALL, Direction::Forward).is_empty());
    assert_eq!(keys(store, Space::Dictionaries, KeyRange::ALL, Direction::Forward).len(), 3);
    assert_eq!(keys(store, Space::Intents, KeyRange::ALL, Direction::Forward).len(), 3);
}

fn ranges_are_ordered_in_both_directions(store: &dyn Store) {
    let mut all: Vec<Vec<u8>> = (0..500_u32).map(|n| (n * 7919 % 500).to_be_bytes()[2..].to_vec()).collect();
    all.extend([vec![1], vec![1, 0, 0], vec![255, 255, 255]]);
    for key in &all {
        put(store, Space::Lists, key, b"");
    }
    all.sort();
    let range = |range: KeyRange| {
        let forward = keys(store, Space::Lists, range.clone(), Direction::Forward);
        let mut reverse = keys(store, Space::Lists, range, Direction::Reverse);
        reverse.reverse();
        assert_eq!(forward, reverse);
        forward
    };
    assert_eq!(range(KeyRange::ALL), all);
    let within = |f: &dyn Fn(&[u8]) -> bool| all.iter().filter(|key| f(key)).cloned().collect::<Vec<_>>();
    let (a, b) = (&[0, 100][..], &[1, 50][..]);
    assert_eq!(range(KeyRange::new::<&[u8]>(a..b)), within(&|key| key >= a && key < b));
    assert_eq!(range(KeyRange::new::<&[u8]>(a..=b)), within(&|key| key >= a && key <= b));
    assert_eq!(range(KeyRange::new::<&[u8]>(a..)), within(&|key| key >= a));
    assert_eq!(range(KeyRange::new::<&[u8]>(..b)), within(&|key| key < b));
    assert_eq!(range(KeyRange::prefix(&[1])), within(&|key| key.starts_with(&[1])));
    assert_eq!(range(KeyRange::prefix(&[255, 255])), vec![vec![255, 255, 255]]);
    assert!(range(KeyRange::new::<&[u8]>(b..a)).is_empty());
    assert!(range(KeyRange::new::<&[u8]>(a..a)).is_empty());
}

fn later_operations_of_a_group_win(store: &dyn Store) {
    let mut first = WriteBatch::new();
    first.put_slice(Space::Executions, b"put then deleted", b"1");
    first.delete(Space::Executions, b"deleted then put");
    first.put_slice(Space::Executions, b"put twice", b"1");
    first.put_slice(Space::Executions, b"range/1", b"1");
    let mut second = WriteBatch::new();
    second.delete(Space::Executions, b"put then deleted");
    second.put_slice(Space::Executions, b"deleted then put", b"2");
    second.put_slice(Space::Executions, b"put twice", b"2");
    second.delete_range(Space::Executions, b"range/", b"range0");
    second.put_slice(Space::Executions, b"range/2", b"2");
    store.commit(&[first, second]).expect("a group");
}

fn check_later_operations_won(store: &dyn Store) {
    let found = keys(store, Space::Executions, KeyRange::ALL, Direction::Forward);
    assert_eq!(found, [&b"deleted then put"[..], b"put twice", b"range/2"]);
    for key in found {
        assert_eq!(store.get(Space::Executions, &key).expect("get").as_deref(), Some(&b"2"[..]));
    }
}

/// Sizes around every limit inside the stores, and the largest that the Fabric takes.
const SIZES: [usize; 10] = [0, 511, 513, 4096, 65_536, 65_537, 131_072, 100_000, 1 << 20, (8 << 20) + 1000];

fn big_values_are_kept_and_replaced(store: &dyn Store) {
    for (key, len) in (0_u8..).zip(SIZES) {
        let mut batch = WriteBatch::new();
        batch.put(Space::Items, &[key], pattern(len as u64, len));
        // Shrinks, grows and disappears later: nothing of the former value may shine through.
        batch.put(Space::Items, &[key, 1], pattern(1, 300_000));
        batch.put(Space::Items, &[key, 2], pattern(2, 10));
        batch.put(Space::Items, &[key, 3], pattern(3, 300_000));
        store.commit(&[batch]).expect("big values");
        let mut batch = WriteBatch::new();
        batch.put(Space::Items, &[key, 1], pattern(4, 10));
        batch.put(Space::Items, &[key, 2], pattern(5, 300_000));
        batch.delete(Space::Items, &[key, 3]);
        batch.put(Space::Items, &[key, 4], pattern(6, 200_000));
        batch.put(Space::Items, &[key, 4], pattern(7, 70_000));
        store.commit(&[batch]).expect("their replacements");
    }
}

fn check_big_values(store: &dyn Store) {
    let mut expected = Vec::new();
    for (key, len) in (0_u8..).zip(SIZES) {
        expected.push((vec![key], pattern(len as u64, len)));
        expected.push((vec![key, 1], pattern(4, 10)));
        expected.push((vec![key, 2], pattern(5, 300_000)));
        expected.push((vec![key, 4], pattern(7, 70_000)));
    }
    let found: Vec<(Vec<u8>, Bytes)> = store
        .range(Space::Items, KeyRange::ALL, Direction::Forward)
        .map(|entry| entry.expect("an entry"))
        .map(|(key, value)| (key.to_vec(), value))
        .collect();
    assert_eq!(found.len(), expected.len());
    for ((key, value), (expected_key, expected_value)) in found.iter().zip(&expected) {
        assert_eq!(key, expected_key);
        assert!(value == expected_value, "the value at {key:?} differs");
        assert!(store.get(Space::Items, key).expect("get").as_ref() == Some(expected_value));
    }
}

fn big_values_can_be_deleted_by_range(store: &dyn Store) {
    let mut batch = WriteBatch::new();
    batch.put(Space::Items, &[250], pattern(8, 500_000));
    batch.delete_range(Space::Items, &[0], &[255]);
    batch.put(Space::Items, &[251], pattern(9, 500_000));
    store.commit(&[batch]).expect("a range delete");
    assert_eq!(keys(store, Space::Items, KeyRange::ALL, Direction::Forward), [[251]]);
    assert!(store.get(Space::Items, &[251]).expect("get").expect("it is there") == pattern(9, 500_000));
}

fn what_breaks_a_limit_is_refused_whole(store: &dyn Store) {
    let mut fine = WriteBatch::new();
    fine.put_slice(Space::Meta, b"fine", b"");
    let mut long = WriteBatch::new();
    long.put_slice(Space::Meta, &vec![b'k'; MAX_KEY_BYTES + 1], b"");
    let error = store.commit(&[fine.clone(), long]).expect_err("the key is too long");
    assert_eq!(error.kind(), ErrorKind::InvalidBatch, "{error}");
    let mut nameless = WriteBatch::new();
    nameless.put_slice(Space::Meta, b"", b"");
    let error = store.commit(&[fine, nameless]).expect_err("the key is empty");
    assert_eq!(error.kind(), ErrorKind::InvalidBatch, "{error}");
    assert_eq!(store.get(Space::Meta, b"fine").expect("get"), None);
    put(store, Space::Meta, vec![b'k'; MAX_KEY_BYTES], b"longest");
    assert!(store.get(Space::Meta, &vec![b'k'; MAX_KEY_BYTES]).expect("get").is_some());
}

/// Random operations on few keys, in groups, against a plain map.
fn random_operations_match_a_model(store: &dyn Store, model: &mut Model, seed: u64) {
    let mut numbers = pattern(seed, 40_000).to_vec().into_iter();
    let mut next = move || numbers.next().unwrap_or(0);
    for _ in 0..200 {
        let mut group = Vec::new();
        for _ in 0..1 + next() % 4 {
            let mut batch = WriteBatch::with_capacity(8, 256);
            for _ in 0..1 + next() % 8 {
                let space = [Space::Items, Space::Lists][usize::from(next() % 2)];
                let key = vec![next() % 40, next() % 2];
                match next() % 8 {
                    0..=4 => {
                        let len = if next() % 16 == 0 { 150_000 } else { usize::from(next()) * 4 };
                        let value = pattern(next().into(), len);
                        batch.put(space, &key, value.clone());
                        model.insert((space, key), value.to_vec());
                    }
                    5 | 6 => {
                        batch.delete(space, &key);
                        model.remove(&(space, key));
                    }
                    _ => {
                        let end = vec![key[0].saturating_add(next() % 8), next() % 2];
                        batch.delete_range(space, &key, &end);
                        model.retain(|(at, k), _| *at != space || *k < key || *k >= end);
                    }
                }
            }
            group.push(batch);
        }
        store.commit(&group).expect("a group");
    }
}

fn check_model(store: &dyn Store, model: &Model, seed: u64) {
    for space in Space::ALL {
        let found =
            store.range(space, KeyRange::ALL, Direction::Forward).map(|entry| entry.expect("an entry"));
        let found: Vec<_> = found.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let expected: Vec<_> = model
            .iter()
            .filter(|((at, _), _)| *at == space)
            .map(|((_, k), v)| (k.clone(), v.clone()))
            .collect();
        assert!(found == expected, "{space:?} differs from the model with seed {seed}");
    }
}

fn a_closed_store_takes_no_more(store: &dyn Store) {
    store.close().expect("it closes");
    store.close().expect("twice does no harm");
    let mut batch = WriteBatch::new();
    batch.put_slice(Space::Meta, b"late", b"");
    assert_eq!(store.commit(&[batch]).map_err(|error| error.kind()), Err(ErrorKind::Closed));
}

/// Runs `write`, and then `check` at once and, where there is a folder, after each of two reopenings.
fn across_reopening(kind: Kind, write: impl FnOnce(&dyn Store), check: impl Fn(&dyn Store)) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let store = open(kind, folder.path(), Durability::Process);
    write(&*store);
    check(&*store);
    if kind != Kind::Memory {
        drop(store);
        let store = open(kind, folder.path(), Durability::Process);
        check(&*store);
        store.close().expect("it closes");
        drop(store);
        check(&*open(kind, folder.path(), Durability::Sync));
    }
}

fn fresh(kind: Kind, test: impl FnOnce(&dyn Store)) {
    across_reopening(kind, test, |_| {});
}

macro_rules! contract {
    ($($store:ident: $kind:expr;)*) => { $(
        mod $store {
            use super::*;

            #[test]
            fn basics() {
                fresh($kind, puts_gets_and_deletes);
            }

            #[test]
            fn spaces() {
                fresh($kind, spaces_are_apart);
            }

            #[test]
            fn ranges() {
                fresh($kind, ranges_are_ordered_in_both_directions);
            }

            #[test]
            fn order_within_a_group() {
                across_reopening($kind, later_operations_of_a_group_win, check_later_operations_won);
            }

            #[test]
            fn big_values() {
                across_reopening($kind, big_values_are_kept_and_replaced, check_big_values);
                fresh($kind, |store| {
                    big_values_are_kept_and_replaced(store);
                    big_values_can_be_deleted_by_range(store);
                });
            }

            #[test]
            fn limits() {
                fresh($kind, what_breaks_a_limit_is_refused_whole);
            }

            #[test]
            fn model() {
                for seed in 1..3 {
                    let model = std::cell::RefCell::new(Model::new());
                    across_reopening(
                        $kind,
                        |store| random_operations_match_a_model(store, &mut model.borrow_mut(), seed),
                        |store| check_model(store, &model.borrow(), seed),
                    );
                }
            }

            #[test]
            fn closing() {
                fresh($kind, a_closed_store_takes_no_more);
            }
        }
    )* };
}

contract! {
    memory: Kind::Memory;
    sled: Kind::Sled;
    fjall: Kind::Fjall;
    journaled_sled: Kind::JournaledSled;
    journaled_fjall: Kind::JournaledFjall;
}
