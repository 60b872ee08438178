use perper_proto::v1::StreamOptions;
use perper_proto::v1::attach_listener_request::Start;
use perper_store::Space;

use super::fixture::{Fixture, batch, packed, persistent, run};
use crate::engine::StreamRequest;

/// With everything in memory, and with nothing.
fn both(test: impl Fn(Fixture)) {
    test(Fixture::new());
    test(Fixture::with(|options| options.tail_cache_bytes = 0));
}

#[test]
fn what_every_listener_has_acknowledged_goes_and_nothing_else() {
    both(|mut fixture| {
        fixture.create(StreamOptions::default());
        for first in [1, 11, 21] {
            fixture.write(run(first, 10, 1)).unwrap();
        }
        fixture.attach("fast", None);
        fixture.attach("slow", Some(Start::Beginning(true)));
        fixture.acknowledge("fast", 1, 30);
        assert_eq!(fixture.stored(Space::Items), 3);
        fixture.acknowledge("slow", 1, 9);
        assert_eq!(fixture.stored(Space::Items), 3);
        fixture.acknowledge("slow", 1, 10);
        assert_eq!(fixture.stored(Space::Items), 2);
        fixture.acknowledge("slow", 1, 25);
        assert_eq!(fixture.stored(Space::Items), 1);
        // Still there: what the slow one has not acknowledged.
        assert_eq!(fixture.keys(26), (26..=30).collect::<Vec<_>>());
        fixture.restart();
        assert_eq!(fixture.keys(26), (26..=30).collect::<Vec<_>>());
        let late = fixture.attach("late", Some(Start::Key(2)));
        assert!(late.items_removed);
        assert!((21..=26).contains(&late.start_key), "{}", late.start_key);
        fixture.acknowledge("slow", 1, 30);
        assert_eq!(fixture.stored(Space::Items), 1);
        fixture.acknowledge("late", 1, 30);
        assert_eq!(fixture.stored(Space::Items), 0);
        // The stream goes on where it was.
        fixture.restart();
        assert_eq!(fixture.write(run(30, 1, 1)), Err("STREAM_KEY_NOT_INCREASING".to_owned()));
        assert_eq!(fixture.stream().items_written, 30);
    });
}

#[test]
fn the_slowest_listener_holds_nothing_once_it_is_gone() {
    both(|mut fixture| {
        fixture.create(StreamOptions::default());
        fixture.write(run(1, 10, 1)).unwrap();
        fixture.attach("#fast", None);
        fixture.attach("#slow", Some(Start::Beginning(true)));
        fixture.acknowledge("#fast", 1, 10);
        assert_eq!(fixture.stored(Space::Items), 1);
        let (stream, listener) = ("s".to_owned(), "#slow".to_owned());
        fixture.send(StreamRequest::DetachListener { stream, listener, epoch: 1 }).unwrap();
        assert_eq!(fixture.stored(Space::Items), 0);
    });
}

#[test]
fn an_acknowledgement_ahead_of_what_was_readable_takes_nothing() {
    both(|mut fixture| {
        fixture.create(packed(1, 0));
        fixture.attach("name", None);
        fixture.write(run(0, 5, 1)).unwrap();
        fixture.write(run(10, 5, 1)).unwrap();
        fixture.acknowledge("name", 1, 14);
        fixture.write(run(5, 5, 1)).unwrap();
        assert_eq!(fixture.keys(5), (5..15).collect::<Vec<_>>());
        fixture.acknowledge("name", 1, 14);
        assert_eq!(fixture.stored(Space::Items), 0);
        fixture.restart();
        let again = fixture.send(super::fixture::write("s", 2, run(14, 1, 1)));
        assert_eq!(again.unwrap_err().reason, "STREAM_KEY_EXISTS");
        assert_eq!(fixture.write(batch(None, &[], &["15"])), Ok(15));
        assert_eq!(fixture.keys(i64::MIN), [15]);
    });
}

#[test]
fn a_listener_that_skips_items_lets_them_go() {
    both(|mut fixture| {
        fixture.create(StreamOptions::default());
        fixture.write(run(1, 10, 1)).unwrap();
        fixture.write(run(11, 10, 1)).unwrap();
        fixture.attach("name", Some(Start::Key(11)));
        assert_eq!(fixture.stored(Space::Items), 1);
    });
}

#[test]
fn a_key_that_is_still_to_come_removes_nothing_ahead() {
    both(|mut fixture| {
        fixture.create(StreamOptions::default());
        fixture.write(run(1, 10, 1)).unwrap();
        fixture.attach("name", Some(Start::Key(100)));
        fixture.write(run(95, 10, 1)).unwrap();
        assert_eq!(fixture.keys(100), [100, 101, 102, 103, 104]);
    });
}

#[test]
fn persistent_items_stay() {
    both(|mut fixture| {
        fixture.create(persistent());
        fixture.write(run(1, 10, 1)).unwrap();
        fixture.attach("name", None);
        fixture.acknowledge("name", 1, 10);
        assert_eq!(fixture.keys(i64::MIN).len(), 10);
    });
}

#[test]
fn without_a_listener_a_stream_keeps_so_much_and_refuses_more() {
    let mut fixture = Fixture::with(|options| options.unheard_items = 15);
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    assert_eq!(fixture.write(run(11, 10, 1)), Err("STREAM_BACKLOG_FULL".to_owned()));
    // The writer is not closed, and may write what there is room for, or more once somebody listens.
    fixture.write(run(11, 5, 1)).unwrap();
    fixture.restart();
    assert_eq!(fixture.write(run(16, 1, 1)), Err("STREAM_BACKLOG_FULL".to_owned()));
    assert_eq!(fixture.attach("name", None).start_key, 1);
    fixture.write(run(16, 100, 1)).unwrap();
    let mut fixture = Fixture::with(|options| options.unheard_bytes = 10);
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 5, 1)).unwrap();
    assert_eq!(fixture.write(run(6, 1, 1)), Err("STREAM_BACKLOG_FULL".to_owned()));
    let mut fixture = Fixture::with(|options| options.unheard_items = 1);
    fixture.create(persistent());
    fixture.write(run(1, 5, 1)).unwrap();
}

#[test]
fn an_acknowledgement_in_one_run_with_others_is_written_once() {
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    fixture.attach("name", None);
    let before = fixture.engine().committer().stats().bytes;
    let acknowledge = |through| crate::engine::Operation {
        identity: None,
        request: crate::engine::Request::Stream(StreamRequest::AcknowledgeItems {
            stream: "s".to_owned(),
            listener: "name".to_owned(),
            epoch: 1,
            through,
        }),
    };
    fixture.apply((1..=9).map(acknowledge).collect());
    let written = fixture.engine().committer().stats().bytes - before;
    assert!(written < 100, "{written}");
}
