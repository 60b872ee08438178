//! Writers that wait for the slowest listener.

use perper_proto::v1::{self, StreamOptions};

use super::fixture::{Fixture, SESSION, batch, first_key, packed, run, write};
use crate::engine::{Engine, Event, Identity, Outcome, SessionId, StreamRequest, is_waiting};

fn bounded(options: StreamOptions) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions { backlog_items: 10, ..options });
    fixture.attach("name", None);
    fixture
}

/// Writes, and answers the identity under which the write waits.
fn park(fixture: &mut Fixture, batch: v1::ItemBatch) -> Identity {
    let outcome = fixture.send(write("s", 1, batch));
    assert!(is_waiting(&outcome), "{outcome:?}");
    Identity { session: SESSION, sequence: fixture.last_sequence() }
}

fn answers(fixture: &Fixture) -> Vec<(Identity, Result<i64, String>)> {
    let answered = |event| match event {
        Event::Answered { identity, outcome } => Some((identity, first_key(*outcome))),
        _ => None,
    };
    fixture.events().into_iter().filter_map(answered).collect()
}

#[test]
fn a_write_past_the_bound_waits_for_acknowledgements() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 8, 1)).unwrap();
    let first = park(&mut fixture, run(9, 3, 1));
    // What comes behind it must not overtake it, although it would fit.
    let second = park(&mut fixture, run(12, 1, 1));
    assert_eq!(fixture.keys(i64::MIN).len(), 8);
    fixture.acknowledge("name", 1, 1);
    assert_eq!(answers(&fixture), [(first, Ok(9))]);
    fixture.acknowledge("name", 1, 2);
    assert_eq!(answers(&fixture), [(second, Ok(12))]);
    assert_eq!(fixture.keys(i64::MIN), (1..=12).collect::<Vec<_>>());
    // The outcome is kept as any other.
    let again = fixture.send_as(SESSION, first.sequence, write("s", 1, run(9, 3, 1)));
    assert_eq!(first_key(again), Ok(9));
    fixture.restart();
    let again = fixture.send_as(SESSION, first.sequence, write("s", 1, run(9, 3, 1)));
    assert_eq!(first_key(again), Ok(9));
}

#[test]
fn a_repeat_of_a_write_that_waits_goes_on_waiting() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    let waiting = park(&mut fixture, run(11, 1, 1));
    assert!(is_waiting(&fixture.send_as(SESSION, waiting.sequence, write("s", 1, run(11, 1, 1)))));
    fixture.acknowledge("name", 1, 10);
    assert_eq!(answers(&fixture), [(waiting, Ok(11))]);
    assert_eq!(fixture.stream().items_written, 11);
}

#[test]
fn a_batch_larger_than_the_bound_fits_when_nothing_is_unread() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 50, 1)).unwrap();
    let waiting = park(&mut fixture, run(51, 50, 1));
    fixture.acknowledge("name", 1, 49);
    assert!(answers(&fixture).is_empty());
    fixture.acknowledge("name", 1, 50);
    assert_eq!(answers(&fixture), [(waiting, Ok(51))]);
}

#[test]
fn the_slowest_listener_counts_and_its_leaving_lets_writers_go_on() {
    let mut fixture = bounded(StreamOptions { persistent: true, ..Default::default() });
    fixture.attach("#slow", None);
    fixture.write(run(1, 10, 1)).unwrap();
    fixture.acknowledge("name", 1, 10);
    let waiting = park(&mut fixture, run(11, 1, 1));
    let (stream, listener) = ("s".to_owned(), "#slow".to_owned());
    fixture.send(StreamRequest::DetachListener { stream, listener, epoch: 1 }).unwrap();
    assert_eq!(answers(&fixture), [(waiting, Ok(11))]);
}

#[test]
fn a_batch_that_waited_can_be_rejected() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    let good = park(&mut fixture, run(11, 1, 1));
    let bad = park(&mut fixture, run(5, 1, 1));
    let behind = park(&mut fixture, run(12, 1, 1));
    fixture.acknowledge("name", 1, 10);
    let rejected = Err("STREAM_KEY_NOT_INCREASING".to_owned());
    let closed = Err("WRITER_CLOSED".to_owned());
    assert_eq!(answers(&fixture), [(good, Ok(11)), (bad, rejected), (behind, closed)]);
}

#[test]
fn the_run_that_fills_the_first_gap_never_waits() {
    let mut fixture = bounded(packed(1, 0));
    fixture.write(run(0, 4, 1)).unwrap();
    fixture.write(run(10, 6, 1)).unwrap();
    let beyond = park(&mut fixture, run(20, 5, 1));
    // It becomes the one that fills the first gap.
    let next = park(&mut fixture, run(7, 3, 1));
    fixture.write(run(4, 3, 1)).unwrap();
    assert_eq!(answers(&fixture), [(next, Ok(7))]);
    assert_eq!(fixture.keys(i64::MIN), (0..16).collect::<Vec<_>>());
    fixture.acknowledge("name", 1, 15);
    assert_eq!(answers(&fixture), [(beyond, Ok(20))]);
}

#[test]
fn an_end_takes_in_what_waits() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    let waiting = park(&mut fixture, run(11, 5, 1));
    super::lifecycle::complete(&mut fixture, None).unwrap();
    assert_eq!(answers(&fixture), [(waiting, Ok(11))]);
    let (items, ended) = fixture.read_all(i64::MIN, 100);
    assert_eq!((items.len(), ended), (15, true));
}

#[test]
fn what_waits_is_told_when_the_stream_goes_and_dropped_when_its_session_does() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    let outcome = fixture.send_as(SessionId(9), 1, write("s", 1, run(11, 5, 1)));
    assert!(is_waiting(&outcome));
    let waiting = park(&mut fixture, run(16, 5, 1));
    fixture.engine().close_session(SessionId(9));
    super::lifecycle::destroy(&mut fixture).unwrap();
    assert_eq!(answers(&fixture), [(waiting, Err("NOT_FOUND".to_owned()))]);
}

#[test]
fn a_write_without_an_identity_does_not_wait() {
    let mut fixture = bounded(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    let request = crate::engine::Request::Stream(write("s", 1, batch(None, &[], &["x"])));
    let outcome: Outcome =
        fixture.apply(vec![crate::engine::Operation { identity: None, request }]).remove(0);
    assert!(!is_waiting(&outcome));
    assert_eq!(outcome.unwrap_err().reason, "STREAM_BACKLOG_FULL");
}

#[test]
fn positions_are_found_in_the_store_too() {
    let mut fixture = Fixture::with(|options| options.tail_cache_bytes = 0);
    fixture.create(StreamOptions { backlog_items: 10, persistent: true, ..Default::default() });
    fixture.attach("name", None);
    fixture.write(batch(None, &[1, 2, 3], &["1", "3", "6"])).unwrap();
    fixture.write(run(10, 5, 1)).unwrap();
    for _ in 0..2 {
        // Of eight items, two are acknowledged.
        fixture.acknowledge("name", 1, 4);
        let unread = fixture.engine().streams.with(|streams| {
            let number = streams.table.number_of("s").unwrap();
            streams.unread(number).unwrap()
        });
        assert_eq!(unread, 6);
        fixture.restart();
    }
    fixture.write(run(20, 4, 1)).unwrap();
    park(&mut fixture, run(24, 1, 1));
}
