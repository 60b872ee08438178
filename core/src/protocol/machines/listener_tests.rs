use bytes::{BufMut, Bytes, BytesMut};
use perper_proto::v1::StreamOptions;
use prost::encoding::encode_varint;

use super::*;

fn values(range: std::ops::Range<u8>) -> Bytes {
    let mut values = BytesMut::new();
    for value in range {
        encode_varint(1, &mut values);
        values.put_u8(value);
    }
    values.freeze()
}

/// Items with keys first, first + step, …
fn run(first: i64, count: u8) -> ItemBatch {
    ItemBatch {
        count: count.into(),
        first_key: Some(first),
        key_deltas: Vec::new(),
        values: values(0..count),
    }
}

fn keyed(keys: &[i64]) -> ItemBatch {
    let mut last = 0;
    let key_deltas = keys.iter().map(|key| key - std::mem::replace(&mut last, *key)).collect();
    ItemBatch { count: keys.len() as u32, first_key: None, key_deltas, values: values(0..keys.len() as u8) }
}

fn keys(batch: &ItemBatch, step: i64) -> Vec<i64> {
    let mut key = 0;
    (0..batch.count as usize)
        .map(|index| {
            key = match batch.key_deltas.get(index) {
                Some(delta) => key + delta,
                None => batch.first_key.unwrap_or(0) + step * index as i64,
            };
            key
        })
        .collect()
}

fn attached(place: &mut Place, start_key: i64, stride: u64) {
    place.attached(&AttachListenerResponse {
        start_key,
        options: Some(StreamOptions { stride, ..StreamOptions::default() }),
        ..AttachListenerResponse::default()
    });
}

#[test]
fn where_to_start_on_a_new_connection() {
    let mut place = Place::new(Start::Latest(true));
    assert_eq!(place.start(), Start::Latest(true));
    attached(&mut place, 100, 0);
    // "Latest" must go on meaning what it meant.
    assert_eq!(place.start(), Start::Key(100));
    place.receive(run(100, 3));
    assert_eq!(place.start(), Start::ResumeAfter(102));
    place.receive(keyed(&[200, 300]));
    assert_eq!(place.start(), Start::ResumeAfter(300));
}

#[test]
fn what_has_been_seen_is_dropped_and_nothing_else() {
    // (batch, keys that are left)
    let cases: [(ItemBatch, &[i64]); 7] = [
        (run(0, 5), &[]),
        (run(8, 3), &[]),
        (run(8, 5), &[11, 12]),
        (run(11, 2), &[11, 12]),
        (keyed(&[2, 9, 10, 17, 30]), &[17, 30]),
        (keyed(&[-4, 40]), &[40]),
        (keyed(&[11]), &[11]),
    ];
    for (batch, left) in cases {
        let mut place = Place::new(Start::Beginning(true));
        attached(&mut place, 0, 0);
        place.receive(run(0, 11));
        let what = format!("{batch:?}");
        let received = place.receive(batch);
        assert_eq!(received.as_ref().map_or(Vec::new(), |batch| keys(batch, 1)), left, "{what}");
        if let Some(batch) = received {
            let mut values = batch.values;
            let count = std::iter::from_fn(|| take_value(&mut values)).count();
            assert_eq!((count, values.len()), (left.len(), 0), "{what}");
        }
    }
}

#[test]
fn packed_keys_step_by_the_stride() {
    let mut place = Place::new(Start::Beginning(true));
    attached(&mut place, 5, 10);
    place.receive(run(5, 3));
    assert_eq!(place.start(), Start::ResumeAfter(25));
    let left = place.receive(run(15, 4));
    assert_eq!(left.map(|batch| keys(&batch, 10)), Some(vec![35, 45]));
    assert_eq!(place.step(), 10);
}

#[test]
fn an_empty_batch_moves_nothing() {
    let mut place = Place::new(Start::Beginning(true));
    assert!(place.receive(run(3, 0)).is_none());
    assert_eq!(place.start(), Start::Beginning(true));
}

#[test]
fn acknowledgements_are_apart_from_what_was_received() {
    let mut place = Place::new(Start::Beginning(true));
    attached(&mut place, 0, 0);
    place.receive(run(0, 10));
    assert!(!place.has_acknowledgement());
    place.process(4);
    place.process(2);
    assert_eq!((place.take_acknowledgement(), place.take_acknowledgement()), (Some(4), None));
    // It may have been lost with the connection: say it again.
    place.start();
    assert_eq!(place.take_acknowledgement(), Some(4));
}

#[test]
fn values_are_slices_and_nonsense_is_none() {
    let mut bytes = values(0..2);
    assert_eq!(take_value(&mut bytes).as_deref(), Some(&[0][..]));
    assert_eq!(take_value(&mut bytes).as_deref(), Some(&[1][..]));
    for malformed in [&[][..], &[5, 1][..], &[0x80][..], &[0xff; 12][..]] {
        assert!(take_value(&mut Bytes::copy_from_slice(malformed)).is_none(), "{malformed:?}");
    }
}
