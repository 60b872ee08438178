//! Generators: who may write, and what one that begins anew writes again.

use perper_proto::v1;

use super::fixture::{Fixture, batch, first_key, run};
use crate::engine::{Outcome, StreamRequest};

fn linked(options: v1::StreamOptions, cache: usize) -> Fixture {
    let mut fixture = Fixture::with(|options| options.tail_cache_bytes = cache);
    let request = v1::CreateStreamRequest {
        stream: "s".to_owned(),
        options: Some(v1::StreamOptions { persistent: true, ..options }),
        linked_execution: "generator".to_owned(),
        ..Default::default()
    };
    fixture.send(StreamRequest::Create(request)).unwrap();
    fixture
}

fn fence(fixture: &Fixture, token: &'static str) -> v1::LinkedStream {
    fixture.engine().streams.with(|streams| streams.fence("s", token.as_bytes())).unwrap()
}

fn write(fixture: &mut Fixture, token: &'static str, batch: v1::ItemBatch) -> Result<i64, String> {
    // Each attempt is a writer of its own.
    let writer = token.bytes().map(u64::from).sum();
    let request = v1::WriteItemsRequest {
        stream: "s".to_owned(),
        writer,
        reservation: token.as_bytes().into(),
        batch: Some(batch),
        identity: None,
    };
    first_key(fixture.send(StreamRequest::Write(request)))
}

fn complete(fixture: &mut Fixture, token: &'static str) -> Outcome {
    let (stream, reservation) = ("s".to_owned(), token.as_bytes().into());
    let request = v1::CompleteStreamRequest { stream, reservation, error: None, identity: None };
    fixture.send(StreamRequest::Complete(request))
}

#[test]
fn only_the_last_reservation_writes() {
    let mut fixture = linked(Default::default(), 1 << 20);
    let lost = || Err("RESERVATION_LOST".to_owned());
    assert_eq!(write(&mut fixture, "", run(1, 1, 1)), lost());
    assert_eq!(fence(&fixture, "one").items, 0);
    write(&mut fixture, "one", run(1, 2, 1)).unwrap();
    let linked = fence(&fixture, "two");
    assert_eq!((linked.last_key, linked.items, linked.stride), (Some(2), 2, 0));
    assert_eq!(write(&mut fixture, "one", run(3, 1, 1)), lost());
    write(&mut fixture, "two", run(3, 1, 1)).unwrap();
    // After a restart the worker that still has the execution says so.
    fixture.restart();
    assert_eq!(write(&mut fixture, "two", run(4, 1, 1)), lost());
    fence(&fixture, "two");
    write(&mut fixture, "two", run(4, 1, 1)).unwrap();
    assert_eq!(complete(&mut fixture, "one").unwrap_err().reason, "RESERVATION_LOST");
    complete(&mut fixture, "two").unwrap();
    assert_eq!(write(&mut fixture, "two", run(5, 1, 1)), Err("STREAM_COMPLETED".to_owned()));
}

#[test]
fn equal_items_at_existing_keys_change_nothing() {
    for cache in [1 << 20, 0] {
        let mut fixture = linked(Default::default(), cache);
        fence(&fixture, "one");
        write(&mut fixture, "one", run(1, 3, 1)).unwrap();
        write(&mut fixture, "one", batch(None, &[10, 5], &["10", "15"])).unwrap();
        // Of its own first attempt, a repeated key is a mistake.
        assert_eq!(write(&mut fixture, "one", run(15, 1, 1)), Err("STREAM_KEY_NOT_INCREASING".to_owned()));
        fence(&fixture, "two");
        // Batches need not be cut the same way.
        assert_eq!(write(&mut fixture, "two", run(1, 2, 1)), Ok(1));
        assert_eq!(write(&mut fixture, "two", batch(None, &[3, 7], &["3", "10"])), Ok(3));
        assert_eq!(write(&mut fixture, "two", batch(None, &[15, 5, 2], &["15", "20", "22"])), Ok(15));
        assert_eq!(fixture.keys(i64::MIN), [1, 2, 3, 10, 15, 20, 22]);
        assert_eq!(fixture.stream().items_written, 7);
        // What it has written itself, it may not write again.
        assert_eq!(write(&mut fixture, "two", run(22, 1, 1)), Err("STREAM_KEY_NOT_INCREASING".to_owned()));
        for (token, rejected, reason) in [
            ("three", batch(Some(2), &[], &["other"]), "STREAM_KEY_EXISTS"),
            ("four", batch(Some(4), &[], &["4"]), "STREAM_KEY_NOT_INCREASING"),
            ("five", batch(None, &[15, 5, 2, 2], &["15", "20", "other", "24"]), "STREAM_KEY_EXISTS"),
        ] {
            fence(&fixture, token);
            assert_eq!(write(&mut fixture, token, rejected), Err(reason.to_owned()));
            assert_eq!(write(&mut fixture, token, run(100, 1, 1)), Err("WRITER_CLOSED".to_owned()));
        }
        assert_eq!(fixture.stream().items_written, 7);
        // Without keys: at least once.
        fence(&fixture, "six");
        write(&mut fixture, "six", batch(None, &[], &["1"])).unwrap();
        assert_eq!(fixture.stream().items_written, 8);
    }
}

#[test]
fn a_packed_generator_fills_what_is_missing() {
    for cache in [1 << 20, 0] {
        let mut fixture = linked(v1::StreamOptions { stride: 2, ..Default::default() }, cache);
        fence(&fixture, "one");
        write(&mut fixture, "one", run(4, 2, 2)).unwrap();
        write(&mut fixture, "one", run(12, 1, 2)).unwrap();
        fixture.restart();
        fence(&fixture, "two");
        assert_eq!(write(&mut fixture, "two", run(0, 8, 2)), Ok(0));
        assert_eq!(fixture.keys(i64::MIN), [0, 2, 4, 6, 8, 10, 12, 14]);
        assert_eq!(fixture.stream().items_written, 8);
        let other = batch(Some(12), &[], &["other"]);
        assert_eq!(write(&mut fixture, "two", other), Err("STREAM_KEY_EXISTS".to_owned()));
    }
}

#[test]
fn what_listeners_have_processed_is_not_compared() {
    let mut fixture = Fixture::new();
    let request = v1::CreateStreamRequest {
        stream: "s".to_owned(),
        linked_execution: "generator".to_owned(),
        ..Default::default()
    };
    fixture.send(StreamRequest::Create(request)).unwrap();
    fence(&fixture, "one");
    fixture.attach("name", None);
    write(&mut fixture, "one", run(1, 3, 1)).unwrap();
    fixture.acknowledge("name", 1, 3);
    fence(&fixture, "two");
    assert_eq!(write(&mut fixture, "two", run(1, 5, 1)), Ok(1));
    assert_eq!(fixture.keys(i64::MIN), [4, 5]);
}
