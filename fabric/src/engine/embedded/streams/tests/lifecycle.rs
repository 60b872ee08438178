use perper_proto::v1;
use perper_store::Space;

use super::fixture::{Fixture, attach, create, packed, persistent, run};
use crate::engine::embedded::streams::tests::fixture::SESSION;
use crate::engine::{Engine, Event, ExecutionRequest, Operation, Outcome, Owned, Request, StreamRequest};

pub(super) fn complete(fixture: &mut Fixture, error: Option<v1::Error>) -> Outcome {
    let request = v1::CompleteStreamRequest { stream: "s".to_owned(), error, ..Default::default() };
    fixture.send(StreamRequest::Complete(request))
}

pub(super) fn destroy(fixture: &mut Fixture) -> Outcome {
    let request = v1::DestroyStreamRequest { stream: "s".to_owned(), identity: None };
    fixture.send(StreamRequest::Destroy(request))
}

fn start(fixture: &mut Fixture, options: v1::StreamOptions, linked_execution: &str) -> Outcome {
    fixture.send(StreamRequest::Start(v1::StartStreamRequest {
        stream: "s".to_owned(),
        options: Some(options),
        linked_execution: linked_execution.to_owned(),
        identity: None,
    }))
}

fn declare(fixture: &mut Fixture) {
    let request = v1::CreateStreamRequest { stream: "s".to_owned(), declared: true, ..Default::default() };
    fixture.send(StreamRequest::Create(request)).unwrap();
}

fn error(reason: &str) -> v1::Error {
    v1::Error { reason: reason.to_owned(), ..Default::default() }
}

fn reason(outcome: Outcome) -> String {
    outcome.unwrap_err().reason
}

#[test]
fn a_create_attaches_to_an_equal_stream_only() {
    let mut fixture = Fixture::new();
    for _ in 0..2 {
        fixture.create(packed(2, 1));
        fixture.create(packed(2, 1));
        assert_eq!(reason(fixture.send(create("s", packed(2, 3)))), "ALREADY_EXISTS");
        fixture.restart();
    }
    assert_eq!(reason(fixture.send(create("t", packed(u64::MAX, 0)))), "INVALID_ARGUMENT");
    assert_eq!(reason(fixture.send(create("t", packed(0, 3)))), "INVALID_ARGUMENT");
}

#[test]
fn options_of_a_declared_stream_freeze_when_it_starts() {
    let mut fixture = Fixture::new();
    declare(&mut fixture);
    assert!(fixture.stream().declared);
    start(&mut fixture, packed(3, 0), "").unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.stream().options, Some(packed(3, 0)));
        assert!(!fixture.stream().declared);
        start(&mut fixture, packed(3, 0), "").unwrap();
        assert_eq!(reason(start(&mut fixture, packed(4, 0), "")), "STREAM_STARTED");
        fixture.restart();
    }
    assert_eq!(fixture.write(run(3, 1, 3)), Ok(3));
}

#[test]
fn items_freeze_options_too() {
    let mut fixture = Fixture::new();
    declare(&mut fixture);
    fixture.write(run(1, 1, 1)).unwrap();
    assert_eq!(reason(start(&mut fixture, packed(3, 0), "")), "STREAM_STARTED");
    start(&mut fixture, v1::StreamOptions::default(), "").unwrap();
}

#[test]
fn a_generator_is_told_of_a_listener_that_came_before_it() {
    let mut fixture = Fixture::new();
    declare(&mut fixture);
    fixture.attach("name", None);
    fixture.events();
    start(&mut fixture, v1::StreamOptions::default(), "generator").unwrap();
    let listened = |events: Vec<Event>| {
        events.into_iter().any(|event| {
            matches!(event, Event::StreamListened { linked_execution: Some(id), .. } if &*id == "generator")
        })
    };
    assert!(listened(fixture.events()));
    // The start of the generator may not have been carried out before the server stopped.
    fixture.restart();
    assert!(listened(fixture.events()));
}

#[test]
fn nothing_follows_an_end() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    fixture.write(run(1, 1, 1)).unwrap();
    complete(&mut fixture, Some(error("BROKEN"))).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.write(run(5, 1, 1)), Err("STREAM_COMPLETED".to_owned()));
        complete(&mut fixture, Some(error("BROKEN"))).unwrap();
        assert_eq!(reason(complete(&mut fixture, None)), "STREAM_COMPLETED");
        fixture.send(StreamRequest::Abandon("s".to_owned(), None)).unwrap();
        assert_eq!(fixture.stream().end.unwrap().error, Some(error("BROKEN")));
        assert_eq!(fixture.read(2, 1, 1).end.unwrap().error, Some(error("BROKEN")));
        fixture.restart();
    }
}

#[test]
fn a_stream_without_its_generator_ends() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    fixture.send(StreamRequest::Abandon("s".to_owned(), Some(error("STREAM_ABANDONED")))).unwrap();
    assert_eq!(fixture.stream().end.unwrap().error, Some(error("STREAM_ABANDONED")));
    fixture.send(StreamRequest::Abandon("never".to_owned(), None)).unwrap();
}

#[test]
fn a_destroyed_stream_leaves_nothing_but_a_reason() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    fixture.send(create("other", persistent())).unwrap();
    fixture.write(run(1, 5, 1)).unwrap();
    fixture.attach("name", None);
    fixture.events();
    destroy(&mut fixture).unwrap();
    destroy(&mut fixture).unwrap();
    assert!(fixture.events().iter().any(|event| matches!(event, Event::StreamDestroyed { .. })));
    let stored = [Space::Streams, Space::Items, Space::Listeners].map(|space| fixture.stored(space));
    assert_eq!(stored, [1, 0, 0]);
    assert_eq!(fixture.write(run(9, 1, 1)), Err("NOT_FOUND".to_owned()));
    assert_eq!(reason(fixture.send(create("s", persistent()))), "NOT_FOUND");
    assert_eq!(reason(fixture.send(attach(SESSION, "name", None))), "NOT_FOUND");
    assert!(fixture.engine().view_stream("s").is_none());
    fixture.restart();
    assert!(fixture.engine().view_stream("other").is_some());
}

#[test]
fn property_goes_with_its_owner_and_says_so() {
    let mut fixture = Fixture::new();
    let owner = Some(v1::Owner { instance: "i".to_owned() });
    let request = v1::CreateStreamRequest { stream: "s".to_owned(), owner, ..Default::default() };
    fixture.send(StreamRequest::Create(request)).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.engine().owned_by("i"), [Owned::Stream("s".into())]);
        fixture.restart();
    }
    fixture.send(StreamRequest::DestroyOwned("s".to_owned())).unwrap();
    assert!(fixture.engine().owned_by("i").is_empty());
    assert_eq!(fixture.write(run(9, 1, 1)), Err("OWNER_GONE".to_owned()));
}

#[test]
fn scans_go_by_id_in_pages() {
    let mut fixture = Fixture::new();
    for id in ["c", "a", "s", "b"] {
        fixture.send(create(id, persistent())).unwrap();
    }
    let scan = |after: &str, limit| -> Vec<String> {
        fixture.engine().scan_streams(after, limit).into_iter().map(|stream| stream.stream).collect()
    };
    assert_eq!(scan("", 2), ["a", "b"]);
    assert_eq!(scan("b", 9), ["c", "s"]);
    for name in ["y", "x"] {
        fixture.attach(name, None);
    }
    let scan = |stream, after, limit| -> Vec<String> {
        let listeners = fixture.engine().scan_listeners(stream, after, limit);
        listeners.into_iter().map(|listener| listener.name).collect()
    };
    assert_eq!(scan(None, ("", ""), 9), ["x", "y"]);
    assert_eq!(scan(Some("s"), ("s", "x"), 9), ["y"]);
    assert_eq!(scan(Some("s"), ("", ""), 1), ["x"]);
    assert!(scan(Some("a"), ("", ""), 9).is_empty());
    assert!(scan(None, ("s", "y"), 9).is_empty());
}

#[test]
fn the_record_counts_what_is_there() {
    for cache in [1 << 20, 0] {
        let mut fixture = Fixture::with(|options| options.tail_cache_bytes = cache);
        fixture.create(v1::StreamOptions::default());
        for first in [1, 11, 21] {
            fixture.write(run(first, 10, 1)).unwrap();
        }
        fixture.attach("name", None);
        fixture.acknowledge("name", 1, 15);
        for _ in 0..2 {
            let stream = fixture.stream();
            assert_eq!((stream.items_kept, stream.items_written), (20, 30));
            assert_eq!((stream.first_key, stream.last_key), (Some(11), Some(30)));
            assert_eq!((stream.bytes_kept, stream.listeners, stream.listened), (60, 1, true));
            fixture.restart();
        }
        fixture.acknowledge("name", 1, 30);
        for _ in 0..2 {
            let stream = fixture.stream();
            assert_eq!((stream.items_kept, stream.items_written, stream.bytes_kept), (0, 30, 0));
            assert_eq!((stream.first_key, stream.last_key), (None, Some(30)));
            fixture.restart();
        }
    }
}

#[test]
fn an_idle_stream_takes_little_memory() {
    use crate::engine::embedded::streams::table::{Listener, Slot};
    // The slot, its id, its owner, an entry in each of the maps (which are half empty at worst), and one listener.
    let entries = 2 * (size_of::<(u64, usize)>() + size_of::<(usize, usize, u64)>() + 2) + 2 * 24;
    let names = 3 * (16 + 32);
    let listener = 2 * (size_of::<Listener>() + 16) + 2 * 32;
    let total = size_of::<Slot>() + entries + names + listener;
    assert!(total <= 1024, "{total}, of which the slot {}", size_of::<Slot>());
}

#[test]
fn gaps_that_the_end_skipped_are_not_counted_as_items() {
    let mut fixture = Fixture::new();
    fixture.create(packed(1, 0));
    fixture.attach("name", None);
    fixture.write(run(0, 2, 1)).unwrap();
    fixture.write(run(5, 2, 1)).unwrap();
    fixture.write(run(9, 3, 1)).unwrap();
    complete(&mut fixture, None).unwrap();
    fixture.acknowledge("name", 1, 6);
    for _ in 0..2 {
        let stream = fixture.stream();
        assert_eq!((stream.items_kept, stream.items_written, stream.first_key), (3, 7, Some(9)));
        assert_eq!(stream.end.unwrap().skipped, 5);
        fixture.restart();
    }
}

#[test]
fn a_generator_whose_stream_is_gone_is_told_of_again_after_a_restart() {
    let mut fixture = Fixture::new();
    let request = v1::CreateStreamRequest {
        stream: "s".to_owned(),
        linked_execution: "generator".to_owned(),
        ..Default::default()
    };
    fixture.send(StreamRequest::Create(request)).unwrap();
    let request = v1::CreateExecutionRequest {
        execution: "generator".to_owned(),
        linked_stream: "s".to_owned(),
        ..Default::default()
    };
    let request = Request::Execution(ExecutionRequest::Create(request, None));
    fixture.apply(vec![Operation { identity: None, request }]).remove(0).unwrap();
    let told = |events: Vec<Event>| {
        events.into_iter().any(|event| {
            matches!(event, Event::StreamDestroyed { linked_execution: Some(id), .. } if &*id == "generator")
        })
    };
    fixture.restart();
    assert!(!told(fixture.events()));
    destroy(&mut fixture).unwrap();
    assert!(told(fixture.events()));
    // Nobody has cancelled it yet.
    fixture.restart();
    assert!(told(fixture.events()));
}
