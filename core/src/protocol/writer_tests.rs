use super::*;

const UNPACKED: i64 = 1;

fn shared(stride: u64) -> WriterShared {
    WriterShared {
        stream: "numbers".into(),
        number: 7,
        reservation: Bytes::from_static(b"token"),
        step: i64::try_from(stride.max(1)).unwrap_or(UNPACKED),
        packed: stride > 0,
        bytes_in_flight: 1 << 20,
        state: Mutex::default(),
    }
}

fn append(writer: &WriterShared, key: Option<i64>, creations: u64) -> bool {
    writer.append(&mut lock(&writer.state), key, b"\x07", creations)
}

fn sealed(writer: &WriterShared) -> ItemBatch {
    let encoded = writer.seal();
    let bytes = [encoded.head, encoded.tail].concat();
    let request = v1::Request::decode(&bytes[..]).map(|request| request.request);
    let Ok(Some(request::Request::WriteItems(write))) = request else {
        panic!("not a write: {request:?}");
    };
    assert_eq!((write.stream.as_str(), write.writer, &write.reservation[..]), ("numbers", 7, &b"token"[..]));
    write.batch.unwrap_or_default()
}

#[test]
fn the_hand_written_encoding_is_what_the_generated_one_reads_and_writes() {
    for count in [1, 5, 100, 20_000] {
        let writer = shared(0);
        for _ in 0..count {
            append(&writer, None, 0);
        }
        let encoded = writer.seal();
        let bytes = [encoded.head, encoded.tail].concat();
        let read = v1::Request::decode(&bytes[..]);
        assert_eq!(read.map(|request| request.encode_to_vec()), Ok(bytes), "{count} items");
    }
}

#[test]
fn items_gather_in_one_batch_with_one_place_in_the_queue() {
    let writer = shared(0);
    assert!(append(&writer, None, 0));
    assert!(!append(&writer, None, 0));
    assert!(!append(&writer, None, 0));
    let batch = sealed(&writer);
    assert_eq!(
        (batch.count, batch.first_key, &batch.values[..]),
        (3, None, &b"\x01\x07\x01\x07\x01\x07"[..])
    );
    assert!(append(&writer, None, 0), "the next batch needs a place of its own");
}

#[test]
fn a_batch_does_not_overtake_a_creation() {
    let writer = shared(0);
    assert!(append(&writer, None, 0));
    // Something was created meanwhile, to which this item may refer.
    assert!(append(&writer, None, 1));
    assert!(!append(&writer, None, 1));
    assert_eq!((sealed(&writer).count, sealed(&writer).count), (1, 2));
}

#[test]
fn keys_of_ones_own_travel_as_differences() {
    let writer = shared(0);
    for key in [5, 6, 100, -3] {
        append(&writer, Some(key), 0);
    }
    let batch = sealed(&writer);
    assert_eq!((batch.first_key, batch.key_deltas), (None, vec![5, 1, 94, -103]));
}

#[test]
fn packed_keys_travel_as_runs() {
    let writer = shared(10);
    let places = [0, 10, 20, 50, 60, 30].map(|key| append(&writer, Some(key), 0));
    assert_eq!(places, [true, false, false, true, false, true]);
    let runs =
        [sealed(&writer), sealed(&writer), sealed(&writer)].map(|batch| (batch.first_key, batch.count));
    assert_eq!(runs, [(Some(0), 3), (Some(50), 2), (Some(30), 1)]);
}

#[test]
fn automatic_keys_and_ones_own_do_not_mix_in_a_batch() {
    let writer = shared(0);
    assert!(append(&writer, None, 0));
    assert!(append(&writer, Some(i64::MAX), 0));
    assert!(append(&writer, None, 0));
    assert_eq!([sealed(&writer).count, sealed(&writer).count, sealed(&writer).count], [1, 1, 1]);
}

#[test]
fn a_full_batch_is_closed() {
    let writer = shared(0);
    let item = vec![0; BATCH_BYTES / 2 + 1];
    let queued = (0..3).map(|_| writer.append(&mut lock(&writer.state), None, &item, 0)).collect::<Vec<_>>();
    assert_eq!(queued, [true, true, true]);
}

#[test]
fn a_refused_batch_closes_the_writer_with_the_first_reason() {
    let writer = shared(0);
    append(&writer, None, 0);
    drop(writer.seal());
    append(&writer, None, 0);
    drop(writer.seal());
    writer.settled(Err(Error::new(ErrorKind::StreamKeyExists, "7 is there")));
    writer.settled(Err(Error::new(ErrorKind::WriterClosed, "closed")));
    let state = lock(&writer.state);
    assert_eq!(state.error.as_ref().map(Error::kind), Some(ErrorKind::StreamKeyExists));
    assert_eq!(state.bytes, 0);
}
