use std::sync::mpsc;

use bytes::Bytes;
use perper_proto::v1;
use perper_values::{Value, encode};
use v1::dictionary_operation::{Get, Operation, Set};
use v1::response::Response;
use v1::update_list_request::Operation as ListOperation;

use super::executions::{call, complete, create};
use super::fixture::{Fixture, SESSION};
use crate::engine::{
    AttachListener, DictionaryRequest, ExecutionRequest, Items, ListRequest, ReadItems, SessionId,
    StreamRequest,
};

pub(super) fn integer(value: i64) -> Bytes {
    encode(&Value::Integer(value.into())).expect("integers can be encoded").into()
}

pub(super) fn create_list(list: &str) -> ListRequest {
    ListRequest::Create(v1::CreateListRequest { list: list.into(), ..Default::default() })
}

fn on_list(list: &str, operation: ListOperation) -> ListRequest {
    let operation = Some(operation);
    ListRequest::Update(v1::UpdateListRequest { list: list.into(), operation, identity: None })
}

pub(super) fn add(list: &str, value: i64) -> ListRequest {
    on_list(list, ListOperation::Add(integer(value)))
}

pub(super) fn pop(list: &str) -> ListRequest {
    on_list(list, ListOperation::Pop(v1::ListPop {}))
}

fn of_list(fixture: &Fixture, list: &str, operation: ListOperation) -> v1::UpdateListResponse {
    match fixture.send(on_list(list, operation)) {
        Ok(Some(Response::UpdateList(response))) => response,
        other => panic!("{other:?}"),
    }
}

pub(super) fn length(fixture: &Fixture, list: &str) -> u64 {
    of_list(fixture, list, ListOperation::Count(v1::ListCount {})).count
}

pub(super) fn create_stream(stream: &str, options: v1::StreamOptions) -> StreamRequest {
    let options = Some(options);
    StreamRequest::Create(v1::CreateStreamRequest { stream: stream.into(), options, ..Default::default() })
}

pub(super) fn persistent() -> v1::StreamOptions {
    v1::StreamOptions { persistent: true, ..Default::default() }
}

/// Consecutive items from a key on, each with one byte.
pub(super) fn write(stream: &str, writer: u64, first_key: i64, values: &[u8]) -> v1::WriteItemsRequest {
    let batch = v1::ItemBatch {
        count: values.len() as u32,
        first_key: Some(first_key),
        key_deltas: Vec::new(),
        values: values.iter().flat_map(|value| [1, *value]).collect::<Vec<_>>().into(),
    };
    v1::WriteItemsRequest { stream: stream.into(), writer, batch: Some(batch), ..Default::default() }
}

fn attach(fixture: &Fixture, session: SessionId, stream: &str, name: &str) -> v1::AttachListenerResponse {
    let request =
        v1::AttachListenerRequest { stream: stream.into(), name: name.into(), ..Default::default() };
    let attach = AttachListener { session, listener: name.into(), request };
    match fixture.send(StreamRequest::AttachListener(attach)) {
        Ok(Some(Response::AttachListener(response))) => response,
        other => panic!("{other:?}"),
    }
}

/// Why a page of a listener's items cannot be had.
fn refused_page(fixture: &Fixture, listener: &str, epoch: u64) -> String {
    let (sender, receiver) = mpsc::channel();
    let listener = Some((listener.into(), epoch));
    let request = ReadItems { stream: "s".into(), listener, from_key: 0, max_items: 1, max_bytes: 1_000 };
    fixture.engine().read_items(request, Box::new(move |items| drop(sender.send(items))));
    receiver.recv().expect("an answer").expect_err("no page").reason
}

fn read(fixture: &Fixture, stream: &str, from_key: i64) -> Items {
    let (sender, receiver) = mpsc::channel();
    let request = ReadItems {
        stream: stream.into(),
        listener: None,
        from_key,
        max_items: u64::MAX,
        max_bytes: u64::MAX,
    };
    fixture.engine().read_items(request, Box::new(move |items| drop(sender.send(items))));
    receiver.recv().expect("an answer").expect("items")
}

/// The first keys of the batches of a page, and their bytes.
fn batches(items: &Items) -> Vec<(i64, Vec<u8>)> {
    let bytes = |batch: &v1::ItemBatch| batch.values.chunks(2).map(|item| item[1]).collect();
    items.batches.iter().map(|batch| (batch.first_key.unwrap_or_default(), bytes(batch))).collect()
}

pub(crate) fn streams_keep_items_in_order(fixture: &mut Fixture) {
    fixture.send(create_stream("s", persistent())).unwrap();
    fixture.send(create_stream("s", persistent())).unwrap();
    let other = v1::StreamOptions { stride: 2, ..persistent() };
    assert_eq!(fixture.refusal(create_stream("s", other)), "ALREADY_EXISTS");
    fixture.send(StreamRequest::Write(write("s", 1, 1, &[1, 2, 3]))).unwrap();
    fixture.send(StreamRequest::Write(write("s", 2, 10, &[4]))).unwrap();
    for _ in 0..2 {
        let items: Vec<u8> = batches(&read(fixture, "s", 2)).into_iter().flat_map(|batch| batch.1).collect();
        assert_eq!(items, [2, 3, 4]);
        assert_eq!(fixture.engine().view_stream("s").unwrap().last_key, Some(10));
        fixture.reopen();
    }
    let complete = |error| {
        StreamRequest::Complete(v1::CompleteStreamRequest { stream: "s".into(), error, ..Default::default() })
    };
    fixture.send(complete(None)).unwrap();
    assert_eq!(fixture.refusal(StreamRequest::Write(write("s", 3, 20, &[5]))), "STREAM_COMPLETED");
    assert!(read(fixture, "s", 11).end.is_some());
    fixture.send(StreamRequest::DestroyOwned("s".into())).unwrap();
    assert!(fixture.engine().view_stream("s").is_none());
    assert!(fixture.engine().scan_streams("", 10).is_empty());
}

pub(crate) fn a_refused_batch_changes_nothing(fixture: &mut Fixture) {
    fixture.send(create_stream("s", persistent())).unwrap();
    fixture.send(StreamRequest::Write(write("s", 1, 5, &[1, 2]))).unwrap();
    let identity = Some(fixture.identity());
    let refused = || StreamRequest::Write(write("s", 1, 6, &[3, 4]));
    for _ in 0..3 {
        let reason = fixture.send_as(identity, refused()).unwrap_err().reason;
        assert_eq!(reason, "STREAM_KEY_NOT_INCREASING");
    }
    assert_eq!(fixture.refusal(StreamRequest::Write(write("s", 1, 9, &[5]))), "WRITER_CLOSED");
    fixture.send(StreamRequest::Write(write("s", 2, 9, &[6]))).unwrap();
    let items: Vec<u8> = batches(&read(fixture, "s", 0)).into_iter().flat_map(|batch| batch.1).collect();
    assert_eq!(items, [1, 2, 6]);
}

pub(crate) fn listeners_hold_their_place(fixture: &mut Fixture) {
    fixture.send(create_stream("s", v1::StreamOptions::default())).unwrap();
    fixture.send(StreamRequest::Write(write("s", 1, 1, &[1, 2, 3]))).unwrap();
    let first = attach(fixture, SESSION, "s", "name");
    assert_eq!(first.start_key, 1);
    let acknowledge = |epoch, through| StreamRequest::AcknowledgeItems {
        stream: "s".into(),
        listener: "name".into(),
        epoch,
        through,
    };
    fixture.send(acknowledge(first.epoch, 2)).unwrap();
    let second = attach(fixture, SessionId(8), "s", "name");
    assert!(second.epoch > first.epoch);
    assert_eq!(second.start_key, 3);
    fixture.told("that the listener was taken over", |event| {
        matches!(event, crate::engine::Event::ListenerTakenOver { session: SESSION, epoch, .. } if *epoch == first.epoch)
    });
    // Also if it has not heard of its own attach yet.
    assert_eq!(refused_page(fixture, "name", first.epoch), "LISTENER_TAKEN_OVER");
    // The former one says no more.
    drop(fixture.send(acknowledge(first.epoch, 3)));
    assert_eq!(attach(fixture, SESSION, "s", "name").start_key, 3);
    fixture.reopen();
    assert_eq!(attach(fixture, SESSION, "s", "name").start_key, 3);
    assert_eq!(fixture.engine().scan_listeners(Some("s"), ("", ""), 10).len(), 1);
    let remove = v1::RemoveListenerRequest { stream: "s".into(), name: "name".into(), ..Default::default() };
    fixture.send(StreamRequest::RemoveListener(remove)).unwrap();
    assert!(fixture.engine().scan_listeners(None, ("", ""), 10).is_empty());
    assert_eq!(refused_page(fixture, "name", 1), "NOT_FOUND");
}

pub(crate) fn unnamed_listeners_go_with_their_session(fixture: &mut Fixture) {
    let (stays, goes) = (SessionId(8), SessionId(9));
    fixture.open_session(stays);
    fixture.open_session(goes);
    fixture.send(create_stream("s", v1::StreamOptions::default())).unwrap();
    for (session, listener, name) in [(stays, "\0stays", ""), (goes, "\0goes", ""), (goes, "named", "named")]
    {
        let request =
            v1::AttachListenerRequest { stream: "s".into(), name: name.into(), ..Default::default() };
        let attach = AttachListener { session, listener: listener.into(), request };
        fixture.send(StreamRequest::AttachListener(attach)).unwrap();
    }
    let count = |fixture: &Fixture| fixture.engine().scan_listeners(Some("s"), ("", ""), 10).len();
    assert_eq!(count(fixture), 3);
    fixture.reopen();
    assert_eq!(count(fixture), 3);
    fixture.engine().close_session(goes);
    for _ in 0..2 {
        assert_eq!(count(fixture), 2);
        fixture.reopen();
    }
}

pub(crate) fn what_is_answered_is_seen_at_every_server(fixture: &mut Fixture) {
    for round in 0..5 {
        let (list, stream, execution) = (format!("l{round}"), format!("s{round}"), format!("e{round}"));
        fixture.send(create_list(&list)).unwrap();
        fixture.send(add(&list, 1)).unwrap();
        fixture.send(create_stream(&stream, persistent())).unwrap();
        fixture.send(StreamRequest::Write(write(&stream, 1, 1, &[7]))).unwrap();
        fixture.send(create(&execution)).unwrap();
        for engine in fixture.engines() {
            assert_eq!(engine.view_stream(&stream).unwrap().last_key, Some(1));
            assert_eq!(engine.view_execution(&execution).unwrap().state, v1::ExecutionState::Pending);
        }
        for _ in fixture.engines() {
            assert_eq!(length(fixture, &list), 1);
            assert_eq!(batches(&read(fixture, &stream, 1)), [(1, vec![7])]);
            assert!(fixture.get(&execution).is_ok());
        }
        let token = fixture.reserve(&execution);
        fixture.send(complete(&execution, &token)).unwrap();
        for engine in fixture.engines() {
            assert!(engine.view_execution(&execution).unwrap().ended.is_some());
        }
    }
}

pub(crate) fn generators_are_fenced(fixture: &mut Fixture) {
    let stream = v1::CreateStreamRequest {
        stream: "s".into(),
        options: Some(persistent()),
        linked_execution: "e".into(),
        ..Default::default()
    };
    fixture.send(StreamRequest::Create(stream)).unwrap();
    let generator = v1::CreateExecutionRequest { linked_stream: "s".into(), ..call("e") };
    fixture.send(ExecutionRequest::Create(generator, None)).unwrap();
    let with = |token: &Bytes, writer, key| {
        let reservation = token.clone();
        StreamRequest::Write(v1::WriteItemsRequest { reservation, ..write("s", writer, key, &[1]) })
    };
    let worker = SessionId(8);
    let stale = fixture.claim("e", "", worker).unwrap();
    assert_eq!(stale.linked_stream.as_ref().map(|linked| linked.last_key), Some(None));
    fixture.send(with(&stale.token, 1, 1)).unwrap();
    fixture.engine().release_reservations(worker, &[]);
    let again = fixture.claim("e", "", SESSION).unwrap();
    assert_eq!(again.linked_stream.as_ref().map(|linked| linked.last_key), Some(Some(1)));
    assert_eq!(fixture.refusal(with(&stale.token, 1, 2)), "RESERVATION_LOST");
    fixture.send(with(&again.token, 2, 2)).unwrap();
    assert_eq!(fixture.engine().view_stream("s").unwrap().last_key, Some(2));
    fixture.send(complete("e", &again.token)).unwrap();
}

pub(crate) fn dictionaries_change_whole_or_not_at_all(fixture: &mut Fixture) {
    let create = v1::CreateDictionaryRequest { dictionary: "d".into(), ..Default::default() };
    fixture.send(DictionaryRequest::Create(create)).unwrap();
    let update = |fixture: &Fixture, operations: Vec<Operation>| {
        let operations = operations
            .into_iter()
            .map(|operation| v1::DictionaryOperation { operation: Some(operation) })
            .collect();
        let request = v1::UpdateDictionaryRequest { dictionary: "d".into(), operations, identity: None };
        match fixture.send(DictionaryRequest::Update(request)) {
            Ok(Some(Response::UpdateDictionary(response))) => response,
            other => panic!("{other:?}"),
        }
    };
    let set = |key, value| Set { key: integer(key), value: integer(value) };
    update(fixture, vec![Operation::Set(set(1, 10)), Operation::Set(set(2, 20))]);
    let failed = update(fixture, vec![Operation::Set(set(3, 30)), Operation::SetIfAbsent(set(1, 11))]);
    assert_eq!(failed.failed_operation, Some(1));
    for _ in 0..2 {
        let get = |key| Operation::Get(Get { key: integer(key) });
        let values: Vec<_> = update(fixture, vec![get(1), get(2), get(3)])
            .results
            .into_iter()
            .map(|result| result.value)
            .collect();
        assert_eq!(values, [Some(integer(10)), Some(integer(20)), None]);
        fixture.reopen();
    }
    let destroy = v1::DestroyDictionaryRequest { dictionary: "d".into(), identity: None };
    fixture.send(DictionaryRequest::Destroy(destroy)).unwrap();
    assert!(fixture.engine().scan_states((v1::StateKind::Unspecified, ""), 10).is_empty());
}

pub(crate) fn lists_are_kept_in_order(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    for value in 1..=4 {
        fixture.send(add("l", value)).unwrap();
    }
    let dequeued = of_list(fixture, "l", ListOperation::Dequeue(v1::ListDequeue {}));
    assert_eq!((dequeued.value, dequeued.count), (Some(integer(1)), 3));
    let popped = of_list(fixture, "l", ListOperation::Pop(v1::ListPop {}));
    assert_eq!((popped.value, popped.count), (Some(integer(4)), 2));
    for _ in 0..2 {
        let enumerate = v1::EnumerateListRequest { list: "l".into(), page: None };
        match fixture.send_as(None, ListRequest::Enumerate(enumerate)) {
            Ok(Some(Response::EnumerateList(page))) => assert_eq!(page.values, [integer(2), integer(3)]),
            other => panic!("{other:?}"),
        }
        fixture.reopen();
    }
    assert_eq!(fixture.refusal(on_list("l", ListOperation::GetAt(2))), "INDEX_OUT_OF_RANGE");
    assert_eq!(fixture.refusal(pop("other")), "NOT_FOUND");
}

pub(crate) fn data_outlives_a_restart(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    fixture.send(create_stream("s", persistent())).unwrap();
    fixture.send(create_list("l")).unwrap();
    let create = v1::CreateDictionaryRequest { dictionary: "d".into(), ..Default::default() };
    fixture.send(DictionaryRequest::Create(create)).unwrap();
    let cluster = fixture.engine().cluster_id().to_owned();
    fixture.reopen();
    for engine in fixture.engines() {
        assert_eq!(engine.cluster_id(), cluster);
        assert!(engine.view_execution("e").is_some());
        assert!(engine.view_stream("s").is_some());
        assert_eq!(engine.scan_states((v1::StateKind::Unspecified, ""), 10).len(), 2);
    }
}
