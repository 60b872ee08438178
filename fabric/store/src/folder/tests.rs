use std::fs;

use super::*;
use crate::{Direction, KeyRange, Space, WriteBatch};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn refusal(result: Result<DataFolder>) -> (ErrorKind, String) {
    let error = result.expect_err("it should be refused");
    (error.kind(), error.to_string())
}

#[test]
fn the_cluster_keeps_its_id_and_boots_are_counted() {
    let path = folder();
    let first = DataFolder::open(path.path(), StoreKind::Sled).expect("a new folder");
    let (id, epoch) = (first.cluster_id(), first.boot_epoch());
    assert_eq!(epoch, 1);
    drop(first);
    let second = DataFolder::open(path.path(), StoreKind::Sled).expect("the same folder");
    assert_eq!((second.cluster_id(), second.boot_epoch()), (id, 2));
    let other = folder();
    let other = DataFolder::open(other.path(), StoreKind::Sled).expect("another folder");
    assert_ne!(other.cluster_id(), id);
}

#[test]
fn a_second_server_is_refused_and_told_who_holds_the_folder() {
    let path = folder();
    let held = DataFolder::open(path.path(), StoreKind::Sled).expect("a new folder");
    let (kind, message) = refusal(DataFolder::open(path.path(), StoreKind::Sled));
    assert_eq!(kind, ErrorKind::Locked);
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    drop(held);
    DataFolder::open(path.path(), StoreKind::Sled).expect("it is free again");
}

#[test]
fn a_newer_folder_is_refused_with_both_versions() {
    let path = folder();
    drop(DataFolder::open_as(path.path(), StoreKind::Sled, 12, &[]).expect("a folder of a later server"));
    let (kind, message) = refusal(DataFolder::open_as(path.path(), StoreKind::Sled, 11, &[]));
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(message.contains("12") && message.contains("11"), "{message}");
}

#[test]
fn an_older_folder_is_migrated_step_by_step() {
    fn step(folder: &Path, name: &str) -> Result<()> {
        fs::write(folder.join(name), "").map_err(|error| Error::io("migrating", &error))
    }
    let migrations: &[Migration] = &[
        |folder| step(folder, "one"),
        |folder| {
            assert!(folder.join("one").exists());
            step(folder, "two")
        },
    ];
    let path = folder();
    let id = DataFolder::open_as(path.path(), StoreKind::Fjall, 1, &[]).expect("an old folder").cluster_id();
    let migrated = DataFolder::open_as(path.path(), StoreKind::Fjall, 3, migrations).expect("it is migrated");
    assert_eq!(migrated.cluster_id(), id);
    assert!(path.path().join("two").exists());
    drop(migrated);
    let (kind, message) = refusal(DataFolder::open_as(path.path(), StoreKind::Fjall, 4, migrations));
    assert_eq!(kind, ErrorKind::Incompatible, "{message}");
}

#[test]
fn a_migration_that_fails_is_tried_again() {
    let path = folder();
    drop(DataFolder::open_as(path.path(), StoreKind::Fjall, 1, &[]).expect("an old folder"));
    let fails: Migration = |_| Err(Error::new(ErrorKind::Io, "not today"));
    let (_, message) = refusal(DataFolder::open_as(path.path(), StoreKind::Fjall, 2, &[fails]));
    assert_eq!(message, "not today");
    DataFolder::open_as(path.path(), StoreKind::Fjall, 2, &[|_| Ok(())]).expect("it works now");
}

#[test]
fn a_folder_of_another_store_is_refused() {
    let path = folder();
    drop(DataFolder::open(path.path(), StoreKind::Sled).expect("a new folder"));
    let (kind, message) = refusal(DataFolder::open(path.path(), StoreKind::Fjall));
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(message.contains("sled") && message.contains("fjall"), "{message}");
    assert_eq!(refusal(DataFolder::open(path.path(), StoreKind::Memory)).0, ErrorKind::Incompatible);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let path = folder();
    fs::write(path.path().join("thesis.tex"), "").expect("a file of somebody's");
    let (kind, message) = refusal(DataFolder::open(path.path(), StoreKind::Sled));
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(message.contains("thesis.tex"), "{message}");
}

#[test]
fn a_damaged_format_file_is_named() {
    let path = folder();
    drop(DataFolder::open(path.path(), StoreKind::Sled).expect("a new folder"));
    fs::write(path.path().join("format"), "version = 1\nstore = sled\ncluster_id = x\n").expect("damage");
    let (kind, message) = refusal(DataFolder::open(path.path(), StoreKind::Sled));
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("cluster_id"), "{message}");
}

#[test]
fn a_crash_while_the_format_file_is_replaced_does_no_harm() {
    let path = folder();
    fs::write(path.path().join("format.new"), "vers").expect("half a file");
    let folder = DataFolder::open(path.path(), StoreKind::Sled).expect("a new folder");
    assert_eq!(folder.boot_epoch(), 1);
}

#[test]
fn the_store_inside_keeps_what_was_committed() {
    for kind in [StoreKind::Sled, StoreKind::Fjall] {
        let path = folder();
        for (boot, durability) in (1..).zip([Durability::Sync, Durability::Process, Durability::Sync]) {
            let data = DataFolder::open(path.path(), kind).expect("the folder");
            let store = data.open_store(durability).expect("the store");
            assert_eq!((store.kind(), store.durability()), (kind, durability));
            let found = store.range(Space::Meta, KeyRange::ALL, Direction::Forward).count();
            assert_eq!(found as u64 + 1, data.boot_epoch(), "one entry for each boot before");
            let mut batch = WriteBatch::new();
            batch.put_slice(Space::Meta, &[boot], b"booted");
            store.commit(&[batch]).expect("a commit");
            // Once as a crash would end it, once in order.
            if boot == 2 {
                store.close().expect("it closes");
            }
        }
    }
}

#[test]
fn a_folder_that_is_being_made_is_none_until_it_is_whole() {
    let path = folder();
    let (kind, id) = (StoreKind::Fjall, ClusterId(5));
    let making = path.path().to_owned();
    DataFolder::make(path.path(), kind, id, 9, |store| {
        assert_eq!(refusal(DataFolder::open(&making, kind)).0, ErrorKind::Locked);
        fs::write(store.join("half"), "").expect("a file");
        // As a crash would leave it: the same files, and nobody who holds the lock.
        let left = folder();
        fs::create_dir(left.path().join("store")).expect("a folder");
        fs::copy(making.join("restoring"), left.path().join("restoring")).expect("the announcement");
        fs::write(left.path().join("store/half"), "").expect("a file");
        let (refused, message) = refusal(DataFolder::open(left.path(), kind));
        assert_eq!(refused, ErrorKind::Incompatible);
        assert!(message.contains("cut short: restore it again"), "{message}");
        DataFolder::make(left.path(), kind, id, 9, |store| {
            assert!(fs::read_dir(store).expect("the folder").next().is_none(), "it begins anew");
            Ok(())
        })
        .expect("it is made");
        DataFolder::open(left.path(), kind).expect("a data folder");
        Ok(())
    })
    .expect("it is made");
    let made = DataFolder::open(path.path(), kind).expect("a data folder");
    assert_eq!((made.cluster_id(), made.boot_epoch()), (id, 10));
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_made_is_its_owners_and_one_that_is_there_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let root = folder();
    let (made, there) = (root.path().join("made"), root.path().join("there"));
    drop(DataFolder::open(&made, StoreKind::Sled).expect("a new folder"));
    assert_eq!(mode(&made), 0o700);
    fs::create_dir(&there).expect("a folder");
    fs::set_permissions(&there, fs::Permissions::from_mode(0o770)).expect("its mode is set");
    drop(DataFolder::open(&there, StoreKind::Sled).expect("an empty folder"));
    assert_eq!(mode(&there), 0o770);
}

#[test]
fn nothing_is_made_for_those_who_expect_data() {
    let root = folder();
    let (typo, data) = (root.path().join("dtaa"), root.path().join("data"));
    let (kind, message) = refusal(DataFolder::open_existing(&typo, StoreKind::Sled));
    assert_eq!(kind, ErrorKind::Incompatible);
    assert!(message.contains("dtaa is no data folder"), "{message}");
    assert!(!typo.exists());
    drop(DataFolder::open(&data, StoreKind::Sled).expect("a new folder"));
    DataFolder::open_existing(&data, StoreKind::Sled).expect("it is one");
}
