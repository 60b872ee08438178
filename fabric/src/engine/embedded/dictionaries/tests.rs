use bytes::Bytes;
use perper_proto::v1;
use perper_store::Space;
use perper_values::{DateTime, Value, encode};
use v1::dictionary_operation::{Get, Operation, RemoveIfEqual, ReplaceIfEqual, Set};
use v1::response::Response;

use crate::engine::embedded::states::testing::{Fixture, float, integer, owner, text};
use crate::engine::{DictionaryRequest, Engine, Outcome, Owned, Request};

mod model;

fn create(fixture: &Fixture, id: &str, owner: Option<v1::Owner>) -> Result<(), v1::Error> {
    let request = v1::CreateDictionaryRequest { dictionary: id.into(), owner, ..Default::default() };
    fixture.send(Request::Dictionary(DictionaryRequest::Create(request))).map(drop)
}

fn request(operations: Vec<Operation>) -> Request {
    let operations =
        operations.into_iter().map(|operation| v1::DictionaryOperation { operation: Some(operation) });
    Request::Dictionary(DictionaryRequest::Update(v1::UpdateDictionaryRequest {
        dictionary: "d".into(),
        operations: operations.collect(),
        identity: None,
    }))
}

fn answer(outcome: Outcome) -> Result<v1::UpdateDictionaryResponse, v1::Error> {
    match outcome? {
        Some(Response::UpdateDictionary(response)) => Ok(response),
        other => panic!("{other:?}"),
    }
}

fn update(fixture: &Fixture, operations: Vec<Operation>) -> Result<v1::UpdateDictionaryResponse, v1::Error> {
    answer(fixture.send(request(operations)))
}

/// The result of an operation whose condition holds; `None` if it does not.
fn one(fixture: &Fixture, operation: Operation) -> Option<v1::DictionaryResult> {
    let response = update(fixture, vec![operation]).unwrap();
    let result = response.results.into_iter().next().unwrap();
    match response.failed_operation {
        None => Some(result),
        Some(index) => {
            assert_eq!((index, result), (0, v1::DictionaryResult::default()));
            None
        }
    }
}

fn key(key: i64) -> Get {
    Get { key: integer(key) }
}

fn set(key: i64, value: i64) -> Set {
    Set { key: integer(key), value: integer(value) }
}

fn count(fixture: &Fixture) -> u64 {
    one(fixture, Operation::Count(v1::dictionary_operation::Count {})).unwrap().count
}

fn clear() -> Operation {
    Operation::Clear(v1::dictionary_operation::Clear {})
}

fn result(value: Option<i64>, applied: bool) -> Option<v1::DictionaryResult> {
    Some(v1::DictionaryResult { value: value.map(integer), applied, count: 0 })
}

fn page(fixture: &Fixture, size: u32, token: Bytes) -> v1::EnumerateDictionaryResponse {
    let page = Some(v1::Page { size, token });
    let request = v1::EnumerateDictionaryRequest { dictionary: "d".into(), page, keys_only: false };
    match fixture.send(Request::Dictionary(DictionaryRequest::Enumerate(request))) {
        Ok(Some(Response::EnumerateDictionary(response))) => response,
        other => panic!("{other:?}"),
    }
}

/// Every entry, read in small pages.
fn all(fixture: &Fixture) -> Vec<(Bytes, Bytes)> {
    let mut entries = Vec::new();
    let mut token = Bytes::new();
    loop {
        let page = page(fixture, 7, token);
        entries.extend(page.entries.into_iter().map(|entry| (entry.key, entry.value)));
        if page.next.is_empty() {
            return entries;
        }
        token = page.next;
    }
}

fn entries(entries: impl IntoIterator<Item = (i64, i64)>) -> Vec<(Bytes, Bytes)> {
    entries.into_iter().map(|(key, value)| (integer(key), integer(value))).collect()
}

#[test]
fn every_operation_does_what_it_says() {
    let fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    assert_eq!(one(&fixture, Operation::Get(key(1))), result(None, false));
    assert_eq!(one(&fixture, Operation::Set(set(1, 10))), result(None, true));
    assert_eq!(one(&fixture, Operation::Get(key(1))), result(Some(10), false));
    assert_eq!(one(&fixture, Operation::Contains(key(1))), result(None, true));
    assert_eq!(one(&fixture, Operation::Contains(key(2))), result(None, false));

    assert_eq!(one(&fixture, Operation::SetIfAbsent(set(1, 11))), None);
    assert_eq!(one(&fixture, Operation::SetIfAbsent(set(2, 20))), result(None, true));

    // Equality is canonical: 10.0 is 10.
    let replace = |key, expected, value| {
        Operation::ReplaceIfEqual(ReplaceIfEqual { key: integer(key), expected, value: integer(value) })
    };
    assert_eq!(one(&fixture, replace(1, integer(11), 12)), None);
    assert_eq!(one(&fixture, replace(9, integer(11), 12)), None);
    assert_eq!(one(&fixture, replace(1, float(10.0), 12)), result(None, true));
    assert_eq!(one(&fixture, Operation::GetAndReplace(set(1, 13))), result(Some(12), true));
    assert_eq!(one(&fixture, Operation::GetAndReplace(set(9, 13))), None);
    assert_eq!(all(&fixture), entries([(1, 13), (2, 20)]));

    let remove = |key, expected| Operation::RemoveIfEqual(RemoveIfEqual { key: integer(key), expected });
    assert_eq!(one(&fixture, remove(1, integer(12))), None);
    assert_eq!(one(&fixture, remove(9, integer(12))), None);
    assert_eq!(one(&fixture, remove(1, float(13.0))), result(None, true));
    assert_eq!(one(&fixture, Operation::GetAndRemove(key(2))), result(Some(20), true));
    assert_eq!(one(&fixture, Operation::GetAndRemove(key(2))), result(None, false));
    one(&fixture, Operation::Set(set(3, 30)));
    assert_eq!(one(&fixture, Operation::Remove(key(3))), result(None, true));
    assert_eq!(one(&fixture, Operation::Remove(key(3))), result(None, false));
    assert_eq!(count(&fixture), 0);
}

#[test]
fn operations_of_a_request_see_each_other_and_apply_whole_or_not_at_all() {
    let fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    let response = update(
        &fixture,
        vec![
            Operation::Set(set(1, 10)),
            Operation::Get(key(1)),
            clear(),
            Operation::Get(key(1)),
            Operation::Set(set(2, 20)),
            Operation::Set(set(3, 30)),
            Operation::Remove(key(3)),
            Operation::Count(v1::dictionary_operation::Count {}),
        ],
    )
    .unwrap();
    let values: Vec<_> = response.results.iter().map(|result| result.value.clone()).collect();
    assert_eq!(values[1], Some(integer(10)));
    assert_eq!(values[3], None);
    assert_eq!(response.results[7].count, 1);
    assert_eq!(all(&fixture), entries([(2, 20)]));

    let response = update(
        &fixture,
        vec![
            Operation::Set(set(5, 50)),
            clear(),
            Operation::GetAndReplace(set(2, 21)),
            Operation::Get(key(5)),
        ],
    )
    .unwrap();
    assert_eq!(response.failed_operation, Some(2));
    assert_eq!(response.results, vec![v1::DictionaryResult::default(); 4]);
    assert_eq!(all(&fixture), entries([(2, 20)]));

    let bad = Operation::Get(Get { key: Bytes::from_static(&[0xa0]) });
    let error = update(&fixture, vec![Operation::Set(set(5, 50)), bad]).unwrap_err();
    assert_eq!((&*error.reason, &*error.metadata["operation"]), ("INVALID_KEY", "1"));
    assert_eq!(all(&fixture), entries([(2, 20)]));
}

#[test]
fn a_key_that_is_none_is_told_with_path_and_kind() {
    let fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    let key = encode(&Value::Array(vec![Value::Integer(1.into()), Value::Null])).unwrap();
    let error = update(&fixture, vec![Operation::Get(Get { key: key.into() })]).unwrap_err();
    assert_eq!((&*error.reason, &*error.metadata["path"]), ("INVALID_KEY", "key[1]"));
    assert_eq!(error.metadata["kind"], "not_a_key");
    // Cut off, empty, and with something behind.
    for key in [&[0x62, b'a'][..], &[], &[1, 1]] {
        let key = Bytes::copy_from_slice(key);
        let error = update(&fixture, vec![Operation::Set(Set { key, value: integer(1) })]).unwrap_err();
        assert_eq!(error.reason, "INVALID_VALUE");
    }
    // A short key whose ordered form is longer than what the store takes.
    let key = encode(&Value::Array(vec![Value::Bytes(vec![0; 2040].into())])).unwrap();
    let long = [&[0x82][..], &key[1..], &key[1..]].concat();
    let error =
        update(&fixture, vec![Operation::Set(Set { key: long.into(), value: integer(1) })]).unwrap_err();
    assert_eq!(error.reason, "LIMIT_EXCEEDED");
    assert_eq!(count(&fixture), 0);
}

#[test]
fn keys_are_equal_by_canonical_form_ordered_and_come_back_as_written() {
    let fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    let set = |key: &Bytes, value| Operation::Set(Set { key: key.clone(), value: integer(value) });
    let date = Value::DateTime(DateTime::new(0, 0, 120).unwrap());
    let date: Bytes = encode(&date).unwrap().into();
    let keys = [float(-1.5), integer(-1), integer(7), text(""), text("a"), text("b"), date];
    for (value, key) in keys.iter().enumerate().rev() {
        one(&fixture, set(key, value as i64));
    }
    let found: Vec<_> = all(&fixture).into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, keys);
    one(&fixture, set(&float(7.0), 70));
    assert_eq!(one(&fixture, Operation::Get(key(7))), result(Some(70), false));
    assert_eq!(count(&fixture), keys.len() as u64);
    assert!(all(&fixture).contains(&(float(7.0), integer(70))));
}

#[test]
fn a_repeat_changes_nothing() {
    let mut fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    one(&fixture, Operation::Set(set(1, 10)));
    for _ in 0..2 {
        for _ in 0..2 {
            let taken = answer(fixture.send_as(1, request(vec![Operation::GetAndRemove(key(1))]))).unwrap();
            assert_eq!(taken.results[0].value, Some(integer(10)));
            let failed =
                answer(fixture.send_as(2, request(vec![Operation::GetAndReplace(set(1, 11))]))).unwrap();
            assert_eq!(failed.failed_operation, Some(0));
            one(&fixture, Operation::Set(set(1, 12)));
        }
        fixture.restart();
    }
    assert_eq!(all(&fixture), entries([(1, 12)]));
}

#[test]
fn dictionaries_are_created_once_owned_and_gone_with_their_owner() {
    let mut fixture = Fixture::memory();
    create(&fixture, "d", owner("i")).unwrap();
    create(&fixture, "d", owner("i")).unwrap();
    assert_eq!(create(&fixture, "d", owner("j")).unwrap_err().reason, "ALREADY_EXISTS");
    let indexed = v1::CreateDictionaryRequest {
        dictionary: "d".into(),
        owner: owner("i"),
        indexed_fields: vec!["f".into()],
        ..Default::default()
    };
    let error = fixture.send(Request::Dictionary(DictionaryRequest::Create(indexed))).unwrap_err();
    assert_eq!(error.reason, "ALREADY_EXISTS");
    create(&fixture, "a", None).unwrap();
    one(&fixture, Operation::Set(set(1, 10)));
    for _ in 0..2 {
        let states = fixture.engine().scan_states((v1::StateKind::Unspecified, ""), 10);
        let seen: Vec<_> = states.iter().map(|state| (&*state.state, state.count)).collect();
        assert_eq!(seen, [("a", 0), ("d", 1)]);
        assert_eq!(states[1].owner, owner("i"));
        assert_eq!(fixture.engine().owned_by("i"), [Owned::Dictionary("d".into())]);
        fixture.restart();
    }
    let destroy = |id: &str| {
        let request = v1::DestroyDictionaryRequest { dictionary: id.into(), identity: None };
        Request::Dictionary(DictionaryRequest::Destroy(request))
    };
    let sequence = fixture.next_sequence();
    fixture.send_as(sequence, destroy("a")).unwrap();
    fixture.send(destroy("d")).unwrap();
    fixture.send(destroy("d")).unwrap();
    assert_eq!(fixture.send(destroy("x")).unwrap_err().reason, "NOT_FOUND");
    assert_eq!(update(&fixture, vec![Operation::Get(key(1))]).unwrap_err().reason, "OWNER_GONE");
    let gone = v1::EnumerateDictionaryRequest { dictionary: "a".into(), ..Default::default() };
    let error = fixture.send(Request::Dictionary(DictionaryRequest::Enumerate(gone))).unwrap_err();
    assert_eq!((&*error.reason, &*error.message), ("NOT_FOUND", "dictionary \"a\" was destroyed"));
    fixture.wait_until_swept(Space::Dictionaries);
    assert_eq!(fixture.stored(Space::Dictionaries), 0);
    create(&fixture, "d", owner("i")).unwrap();
    assert_eq!(all(&fixture), []);
}

#[test]
fn a_key_present_throughout_comes_exactly_once() {
    let mut fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    update(&fixture, (0..100).map(|key| Operation::Set(set(key, key))).collect()).unwrap();
    let first = page(&fixture, 10, Bytes::new());
    fixture.restart();
    // Around, before and at the token; and one key gets another value.
    let changes = vec![
        Operation::Remove(key(9)),
        Operation::Remove(key(10)),
        Operation::Set(set(-1, 0)),
        Operation::Set(set(11, -11)),
    ];
    update(&fixture, changes).unwrap();
    let second = page(&fixture, 4096, first.next);
    assert!(second.next.is_empty());
    let expected = (11..100).map(|key| (integer(key), integer(if key == 11 { -11 } else { key })));
    assert_eq!(
        second.entries.into_iter().map(|entry| (entry.key, entry.value)).collect::<Vec<_>>(),
        Vec::from_iter(expected)
    );

    let page = Some(v1::Page { size: 2, token: Bytes::new() });
    let request = v1::EnumerateDictionaryRequest { dictionary: "d".into(), page, keys_only: true };
    let Ok(Some(Response::EnumerateDictionary(page))) =
        fixture.send(Request::Dictionary(DictionaryRequest::Enumerate(request)))
    else {
        panic!("no page")
    };
    assert!(page.entries.iter().all(|entry| entry.value.is_empty()) && page.entries.len() == 2);
    // Whatever a token is, it only tells where to go on.
    let odd = self::page(&fixture, 4096, Bytes::from_static(&[0xff; 40]));
    assert!(odd.entries.is_empty() && odd.next.is_empty());
}

#[test]
fn pages_are_bounded_in_bytes() {
    let fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    let large = text(&"x".repeat(600_000));
    for key in 0..3 {
        one(&fixture, Operation::Set(Set { key: integer(key), value: large.clone() }));
    }
    let first = page(&fixture, 0, Bytes::new());
    assert_eq!((first.entries.len(), first.next.is_empty()), (1, false));
    assert_eq!(all(&fixture).len(), 3);
}

#[test]
fn clearing_removes_from_the_store_and_a_stop_in_between_loses_nothing() {
    let mut fixture = Fixture::memory();
    create(&fixture, "d", None).unwrap();
    for thousand in 0..5 {
        let sets = (0..1000).map(|key| Operation::Set(set(thousand * 1000 + key, key)));
        update(&fixture, sets.collect()).unwrap();
    }
    update(&fixture, vec![clear(), Operation::Set(set(7, 7))]).unwrap();
    assert_eq!(count(&fixture), 1);
    fixture.restart();
    assert_eq!(all(&fixture), entries([(7, 7)]));
    fixture.wait_until_swept(Space::Dictionaries);
    assert_eq!(fixture.stored(Space::Dictionaries), 1);
    assert!(fixture.engine().dictionaries.with(|dictionaries| dictionaries.entries.is_empty()));
}

#[test]
fn dictionaries_come_back_from_every_store() {
    for mut fixture in Fixture::on_disk() {
        create(&fixture, "d", None).unwrap();
        update(&fixture, (0..500).map(|key| Operation::Set(set(key, -key))).collect()).unwrap();
        update(&fixture, (0..500).step_by(3).map(|at| Operation::Remove(key(at))).collect()).unwrap();
        let large = text(&"x".repeat(100_000));
        one(&fixture, Operation::Set(Set { key: integer(1000), value: large.clone() }));
        let before = all(&fixture);
        assert_eq!(before.len() as u64, count(&fixture));
        fixture.restart();
        assert_eq!(all(&fixture), before);
        assert_eq!(count(&fixture), before.len() as u64);
        assert_eq!(one(&fixture, Operation::Get(key(1000))).unwrap().value, Some(large));
        update(&fixture, vec![clear()]).unwrap();
        fixture.restart();
        assert_eq!(all(&fixture), []);
        fixture.wait_until_swept(Space::Dictionaries);
        assert_eq!(fixture.stored(Space::Dictionaries), 0);
    }
}
