use bytes::Bytes;
use perper_proto::v1;
use perper_store::Space;
use v1::response::Response;
use v1::update_list_request::Operation;

use crate::engine::embedded::states::testing::{Fixture, float, integer, owner, text};
use crate::engine::{Engine, ListRequest, Owned, Request, SessionId};

mod model;

fn create(fixture: &Fixture, id: &str, owner: Option<v1::Owner>) -> Result<(), v1::Error> {
    let request = v1::CreateListRequest { list: id.into(), owner, ..Default::default() };
    fixture.send(Request::List(ListRequest::Create(request))).map(drop)
}

fn request(id: &str, operation: Operation) -> Request {
    Request::List(ListRequest::Update(v1::UpdateListRequest {
        list: id.into(),
        operation: Some(operation),
        identity: None,
    }))
}

fn answer(outcome: crate::engine::Outcome) -> Result<v1::UpdateListResponse, v1::Error> {
    match outcome? {
        Some(Response::UpdateList(response)) => Ok(response),
        other => panic!("{other:?}"),
    }
}

fn update(fixture: &Fixture, operation: Operation) -> Result<v1::UpdateListResponse, v1::Error> {
    answer(fixture.send(request("l", operation)))
}

fn add(fixture: &Fixture, value: i64) -> v1::UpdateListResponse {
    update(fixture, Operation::Add(integer(value))).unwrap()
}

fn page(fixture: &Fixture, size: u32, token: Bytes) -> v1::EnumerateListResponse {
    let page = Some(v1::Page { size, token });
    let request = v1::EnumerateListRequest { list: "l".into(), page };
    match fixture.send(Request::List(ListRequest::Enumerate(request))) {
        Ok(Some(Response::EnumerateList(response))) => response,
        other => panic!("{other:?}"),
    }
}

/// Every element, read in small pages.
fn all(fixture: &Fixture) -> Vec<Bytes> {
    let mut values = Vec::new();
    let mut token = Bytes::new();
    loop {
        let page = page(fixture, 7, token);
        values.extend(page.values);
        if page.next.is_empty() {
            return values;
        }
        token = page.next;
    }
}

fn integers(values: impl IntoIterator<Item = i64>) -> Vec<Bytes> {
    values.into_iter().map(integer).collect()
}

#[test]
fn every_operation_does_what_it_says() {
    let fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    let value = |value: i64| Some(integer(value));
    for index in 0..4 {
        let added = add(&fixture, index as i64);
        assert_eq!((added.index, added.count), (Some(index), index + 1));
    }
    let insert = |index, value| Operation::InsertAt(v1::ListInsertAt { index, value: integer(value) });
    assert_eq!(update(&fixture, insert(2, 20)).unwrap().count, 5);
    assert_eq!(update(&fixture, insert(0, 10)).unwrap().count, 6);
    assert_eq!(update(&fixture, insert(6, 30)).unwrap().count, 7);
    assert_eq!(all(&fixture), integers([10, 0, 1, 20, 2, 3, 30]));

    assert_eq!(update(&fixture, Operation::GetAt(3)).unwrap().value, value(20));
    let set = Operation::SetAt(v1::ListSetAt { index: 3, value: integer(21) });
    assert_eq!(update(&fixture, set).unwrap().count, 7);
    assert_eq!(update(&fixture, Operation::RemoveAt(3)).unwrap().value, value(21));
    assert_eq!(update(&fixture, Operation::Pop(v1::ListPop {})).unwrap().value, value(30));
    assert_eq!(update(&fixture, Operation::Dequeue(v1::ListDequeue {})).unwrap().value, value(10));
    assert_eq!(all(&fixture), integers([0, 1, 2, 3]));

    // Equality is canonical: 2.0 is 2.
    assert_eq!(update(&fixture, Operation::IndexOf(float(2.0))).unwrap().index, Some(2));
    assert_eq!(update(&fixture, Operation::IndexOf(integer(9))).unwrap().index, None);
    assert!(update(&fixture, Operation::Contains(float(3.0))).unwrap().found);
    assert!(!update(&fixture, Operation::Contains(text("3"))).unwrap().found);
    let removed = update(&fixture, Operation::Remove(float(1.0))).unwrap();
    assert_eq!((removed.found, removed.count), (true, 3));
    assert!(!update(&fixture, Operation::Remove(integer(1))).unwrap().found);
    assert_eq!(update(&fixture, Operation::Count(v1::ListCount {})).unwrap().count, 3);

    assert_eq!(update(&fixture, Operation::Clear(v1::ListClear {})).unwrap().count, 0);
    assert_eq!(update(&fixture, Operation::Pop(v1::ListPop {})).unwrap().value, None);
    assert_eq!(update(&fixture, Operation::Dequeue(v1::ListDequeue {})).unwrap().value, None);
    add(&fixture, 5);
    assert_eq!(all(&fixture), integers([5]));
}

#[test]
fn an_index_out_of_range_is_told_with_the_length() {
    let fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    add(&fixture, 1);
    for (operation, index) in [
        (Operation::GetAt(1), "1"),
        (Operation::RemoveAt(u64::MAX), "18446744073709551615"),
        (Operation::SetAt(v1::ListSetAt { index: 5, value: integer(1) }), "5"),
        (Operation::InsertAt(v1::ListInsertAt { index: 2, value: integer(1) }), "2"),
    ] {
        let error = update(&fixture, operation).unwrap_err();
        assert_eq!(error.reason, "INDEX_OUT_OF_RANGE");
        assert_eq!((&*error.metadata["index"], &*error.metadata["length"]), (index, "1"));
    }
    assert_eq!(all(&fixture), integers([1]));
}

#[test]
fn a_repeat_pops_once() {
    let mut fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    (0..3).for_each(|value| drop(add(&fixture, value)));
    let pop = || request("l", Operation::Pop(v1::ListPop {}));
    for _ in 0..2 {
        for _ in 0..2 {
            let popped = answer(fixture.send_as(1, pop())).unwrap();
            assert_eq!((popped.value, popped.count), (Some(integer(2)), 2));
        }
        fixture.restart();
    }
    assert_eq!(all(&fixture), integers([0, 1]));
    assert_eq!(answer(fixture.send_as(2, pop())).unwrap().value, Some(integer(1)));
    fixture.engine().acknowledge(SessionId(7), 2);
    assert_eq!(fixture.send_as(2, pop()).unwrap_err().reason, "SEQUENCE_ACKNOWLEDGED");
    assert_eq!(all(&fixture), integers([0]));
}

#[test]
fn lists_are_created_once_owned_and_gone_with_their_owner() {
    let mut fixture = Fixture::memory();
    create(&fixture, "l", owner("i")).unwrap();
    create(&fixture, "l", owner("i")).unwrap();
    assert_eq!(create(&fixture, "l", None).unwrap_err().reason, "ALREADY_EXISTS");
    create(&fixture, "a", None).unwrap();
    add(&fixture, 1);
    for _ in 0..2 {
        let states = fixture.engine().scan_states((v1::StateKind::Unspecified, ""), 10);
        let seen: Vec<_> = states.iter().map(|state| (&*state.state, state.count)).collect();
        assert_eq!(seen, [("a", 0), ("l", 1)]);
        assert_eq!(states[1].owner, owner("i"));
        assert_eq!(fixture.engine().owned_by("i"), [Owned::List("l".into())]);
        fixture.restart();
    }
    assert_eq!(fixture.engine().scan_states((v1::StateKind::List, "a"), 10).len(), 1);
    let destroy = || {
        let request = v1::DestroyListRequest { list: "l".into(), identity: None };
        Request::List(ListRequest::Destroy(request))
    };
    fixture.send(destroy()).unwrap();
    fixture.send(destroy()).unwrap();
    assert_eq!(update(&fixture, Operation::GetAt(0)).unwrap_err().reason, "OWNER_GONE");
    assert!(fixture.engine().owned_by("i").is_empty());
    fixture.wait_until_swept(Space::Lists);
    assert_eq!(fixture.stored(Space::Lists), 0);
    // The id is free again, for an instance that is started once more.
    create(&fixture, "l", owner("i")).unwrap();
    assert_eq!(all(&fixture), integers([]));
}

#[test]
fn a_queue_stays_one_chunk_however_much_goes_through() {
    let fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    (0..50).for_each(|value| drop(add(&fixture, value)));
    for value in 50..1_000 {
        add(&fixture, value);
        let first = update(&fixture, Operation::Dequeue(v1::ListDequeue {})).unwrap();
        assert_eq!(first.value, Some(integer(value - 50)));
    }
    let chunks =
        fixture.engine().lists.with(|lists| lists.catalogue.get("l").unwrap().contents.chunk_count());
    assert_eq!(chunks, 1);
    assert_eq!(fixture.stored(Space::Lists), 50);
}

#[test]
fn insertions_all_over_split_chunks_and_removals_merge_them() {
    let mut fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    let mut model: Vec<i64> = (0..2_000).collect();
    (0..2_000).for_each(|value| drop(add(&fixture, value)));
    let chunks = |fixture: &Fixture| {
        fixture.engine().lists.with(|lists| lists.catalogue.get("l").unwrap().contents.chunk_count())
    };
    for value in 0..1_000 {
        let index = value as usize * 2 + 1;
        model.insert(index, value);
        let insert = v1::ListInsertAt { index: index as u64, value: integer(value) };
        update(&fixture, Operation::InsertAt(insert)).unwrap();
    }
    // Two runs for each insertion, 128 in a chunk at most, and half of that after a split.
    assert!((2_000 / 128..2_000 / 32).contains(&chunks(&fixture)), "{} chunks", chunks(&fixture));
    assert_eq!(all(&fixture), integers(model.iter().copied()));
    fixture.restart();
    for index in (0..3_000).rev().filter(|index| index % 30 != 0) {
        assert_eq!(
            update(&fixture, Operation::RemoveAt(index)).unwrap().value,
            Some(integer(model.remove(index as usize)))
        );
    }
    assert!(chunks(&fixture) < 10, "{} chunks", chunks(&fixture));
    fixture.restart();
    assert_eq!(all(&fixture), integers(model.iter().copied()));
}

#[test]
fn nothing_that_is_durable_stays_in_memory() {
    let fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    (0..10).for_each(|value| drop(add(&fixture, value)));
    assert!(fixture.engine().lists.with(|lists| lists.elements.is_empty()));
}

#[test]
fn pages_go_on_where_they_were_while_the_list_changes() {
    let mut fixture = Fixture::memory();
    create(&fixture, "l", None).unwrap();
    (0..20).for_each(|value| drop(add(&fixture, value)));
    let first = page(&fixture, 5, Bytes::new());
    assert_eq!(first.values, integers(0..5));
    fixture.restart();
    // Between the ends: the last element of the page is still there.
    for _ in 0..3 {
        let insert = v1::ListInsertAt { index: 1, value: integer(99) };
        update(&fixture, Operation::InsertAt(insert)).unwrap();
    }
    update(&fixture, Operation::RemoveAt(0)).unwrap();
    let second = page(&fixture, 5, first.next.clone());
    assert_eq!(second.values, integers(5..10));
    // At the front: the last element of the page is gone, and more.
    for _ in 0..13 {
        update(&fixture, Operation::Dequeue(v1::ListDequeue {})).unwrap();
    }
    assert_eq!(page(&fixture, 5, second.next).values, integers(11..16));
    assert_eq!(page(&fixture, 500, first.next).values, integers(11..20));

    let request = v1::EnumerateListRequest {
        list: "l".into(),
        page: Some(v1::Page { size: 1, token: Bytes::from_static(b"nonsense") }),
    };
    let error = fixture.send(Request::List(ListRequest::Enumerate(request))).unwrap_err();
    assert_eq!(error.reason, "INVALID_ARGUMENT");
}

#[test]
fn lists_come_back_from_every_store() {
    for mut fixture in Fixture::on_disk() {
        create(&fixture, "l", None).unwrap();
        (0..300).for_each(|value| drop(add(&fixture, value)));
        for value in 0..200 {
            let insert = v1::ListInsertAt { index: value as u64 * 2, value: integer(1000 + value) };
            update(&fixture, Operation::InsertAt(insert)).unwrap();
        }
        let before = all(&fixture);
        assert_eq!(before.len(), 500);
        fixture.restart();
        assert_eq!(all(&fixture), before);
        update(&fixture, Operation::Clear(v1::ListClear {})).unwrap();
        fixture.restart();
        assert_eq!(all(&fixture), integers([]));
        fixture.wait_until_swept(Space::Lists);
        assert_eq!(fixture.stored(Space::Lists), 0);
    }
}
