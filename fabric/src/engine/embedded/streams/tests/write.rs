use perper_store::Space;

use super::fixture::{Fixture, batch, first_key, packed, persistent, run, write};
use crate::engine::SessionId;

#[test]
fn keys_of_an_unpacked_stream_increase() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    assert_eq!(fixture.write(batch(Some(-5), &[], &["a", "b"])), Ok(-5));
    assert_eq!(fixture.write(batch(None, &[3, 1, 5], &["c", "d", "e"])), Ok(3));
    let automatic = fixture.write(batch(None, &[], &["f", "g"])).unwrap();
    assert!(automatic > 1_000_000_000_000_000, "ticks since the epoch, but {automatic}");
    assert_eq!(fixture.keys(i64::MIN), [-5, -4, 3, 4, 9, automatic, automatic + 1]);
    // The clock does not matter once a key is ahead of it.
    let ahead = i64::MAX - 100;
    assert_eq!(fixture.write(batch(Some(ahead), &[], &["h"])), Ok(ahead));
    assert_eq!(fixture.write(batch(None, &[], &["i"])), Ok(ahead + 1));
}

#[test]
fn keys_of_a_packed_stream_are_written_in_any_order_and_read_in_order() {
    let mut fixture = Fixture::new();
    fixture.create(packed(10, 5));
    assert_eq!(fixture.write(run(25, 2, 10)), Ok(25));
    assert!(fixture.keys(i64::MIN).is_empty());
    assert_eq!(fixture.write(run(5, 1, 10)), Ok(5));
    assert_eq!(fixture.keys(i64::MIN), [5]);
    assert_eq!(fixture.write(run(15, 1, 10)), Ok(15));
    assert_eq!(fixture.keys(i64::MIN), [5, 15, 25, 35]);
    assert_eq!(fixture.keys(16), [25, 35]);
    // Without a key: the one after the highest.
    assert_eq!(fixture.write(batch(None, &[], &["x"])), Ok(45));
    fixture.restart();
    assert_eq!(fixture.write(batch(None, &[], &["y"])), Ok(55));
    assert_eq!(fixture.keys(i64::MIN), [5, 15, 25, 35, 45, 55]);
}

#[test]
fn rejected_batches_change_nothing_and_close_their_writer() {
    let unpacked = persistent();
    let table = [
        (unpacked.clone(), batch(Some(10), &[], &["a"]), "STREAM_KEY_NOT_INCREASING", Some("10")),
        (unpacked.clone(), batch(Some(-3), &[], &["a"]), "STREAM_KEY_NOT_INCREASING", Some("-3")),
        (
            unpacked.clone(),
            batch(None, &[20, 5, 0], &["a", "b", "c"]),
            "STREAM_KEY_NOT_INCREASING",
            Some("25"),
        ),
        (unpacked.clone(), batch(None, &[20], &["a", "b"]), "INVALID_ARGUMENT", None),
        (unpacked.clone(), batch(Some(21), &[20], &["a"]), "INVALID_ARGUMENT", None),
        (unpacked.clone(), batch(Some(i64::MAX), &[], &["a"]), "INVALID_ARGUMENT", None),
        (unpacked.clone(), batch(Some(i64::MAX - 1), &[], &["a", "b"]), "INVALID_ARGUMENT", None),
        (unpacked.clone(), batch(None, &[], &[&"x".repeat(1001)]), "LIMIT_EXCEEDED", None),
        (unpacked, batch(None, &[], &[]), "INVALID_ARGUMENT", None),
        (packed(10, 10), batch(Some(10), &[], &["a"]), "STREAM_KEY_EXISTS", Some("10")),
        (packed(10, 10), batch(Some(0), &[], &["a"]), "STREAM_KEY_OFF_STRIDE", Some("0")),
        (packed(10, 10), batch(Some(25), &[], &["a"]), "STREAM_KEY_OFF_STRIDE", Some("25")),
        (packed(10, 10), batch(None, &[20, 10], &["a", "b"]), "INVALID_ARGUMENT", None),
        (packed(i64::MAX as u64, 10), batch(Some(10), &[], &["a", "b"]), "INVALID_ARGUMENT", None),
    ];
    for (options, rejected, reason, key) in table {
        let mut fixture = Fixture::new();
        fixture.create(options);
        fixture.write(batch(Some(10), &[], &["first"])).unwrap();
        let before = fixture.stream();
        let error = fixture.send(write("s", 1, rejected.clone())).unwrap_err();
        assert_eq!(error.reason, reason, "{rejected:?}");
        assert_eq!(error.metadata.get("key").map(String::as_str).filter(|_| key.is_some()), key, "{error:?}");
        assert_eq!(fixture.stream(), before);
        // What the writer sent behind it would leave a hole; so after a restart.
        assert_eq!(fixture.write(run(1010, 1, 1)), Err("WRITER_CLOSED".to_owned()));
        fixture.restart();
        assert_eq!(fixture.write(run(1010, 1, 1)), Err("WRITER_CLOSED".to_owned()));
        // Another writer, or the same number of another session, is not concerned.
        let next = || batch(None, &[], &["next"]);
        if before.options.as_ref().unwrap().stride < 100 {
            first_key(fixture.send(write("s", 2, next()))).unwrap();
            first_key(fixture.send_as(SessionId(8), 1, write("s", 1, next()))).unwrap();
        }
        // The session takes its closed writers with it.
        let streams = fixture.stored(Space::Streams);
        crate::engine::Engine::close_session(&**fixture.engine(), super::fixture::SESSION);
        fixture.apply(Vec::new());
        assert_eq!(fixture.stored(Space::Streams), streams - 1);
    }
}

#[test]
fn a_repeat_has_the_same_outcome() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    let first = fixture.write(batch(None, &[], &["a"])).unwrap();
    let sequence = fixture.last_sequence();
    let again = || write("s", 1, batch(None, &[], &["a"]));
    assert_eq!(first_key(fixture.send_as(super::fixture::SESSION, sequence, again())), Ok(first));
    fixture.restart();
    assert_eq!(first_key(fixture.send_as(super::fixture::SESSION, sequence, again())), Ok(first));
    assert_eq!(fixture.keys(i64::MIN), [first]);
}

#[test]
fn values_are_stored_and_read_as_they_were_written() {
    let mut fixture = Fixture::with(|options| options.tail_cache_bytes = 0);
    fixture.create(persistent());
    let written = batch(None, &[7, 3, 4], &["a", "", &"b".repeat(900)]);
    fixture.write(written.clone()).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.read(i64::MIN, 10, 10_000).batches, std::slice::from_ref(&written));
        fixture.restart();
    }
}
