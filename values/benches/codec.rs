//! The cost of a small struct, a batch, a generic value and keys: `cargo bench -p perper-values`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use perper_values::{
    Value, canonicalise, decode, encode, encode_key, from_slice, from_validated, is_canonical,
    key_from_encoded, to_buffer, to_vec, validate,
};
use serde::{Deserialize, Serialize};
use std::hint::black_box;

#[derive(Serialize, Deserialize)]
struct Reading<'a> {
    sensor_id: u64,
    room: &'a str,
    temperature: f64,
    humidity: f64,
    valid: bool,
    sequence: i64,
    note: Option<&'a str>,
    position: (i32, i32),
}

fn reading() -> Reading<'static> {
    Reading {
        sensor_id: 123_456_789,
        room: "laboratory",
        temperature: 21.5,
        humidity: 0.43,
        valid: true,
        sequence: -5,
        note: None,
        position: (10, 20),
    }
}

fn structs(criterion: &mut Criterion) {
    let encoded = to_vec(&reading()).unwrap();
    let mut group = criterion.benchmark_group("struct of 8 members");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    let mut buffer = Vec::new();
    group.bench_function("to_buffer", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            to_buffer(black_box(&reading()), &mut buffer).unwrap();
        });
    });
    group.bench_function("validate", |bencher| bencher.iter(|| validate(black_box(&encoded)).unwrap()));
    group.bench_function("from_validated", |bencher| {
        bencher.iter(|| from_validated::<Reading<'_>>(black_box(&encoded)).unwrap());
    });
    group.bench_function("from_slice", |bencher| {
        bencher.iter(|| from_slice::<Reading<'_>>(black_box(&encoded)).unwrap());
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let encoded = to_vec(&(0..1000).map(|_| reading()).collect::<Vec<_>>()).unwrap();
    let mut group = criterion.benchmark_group("array of 1,000 structs");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("validate", |bencher| bencher.iter(|| validate(black_box(&encoded)).unwrap()));
    group.bench_function("from_slice", |bencher| {
        bencher.iter(|| from_slice::<Vec<Reading<'_>>>(black_box(&encoded)).unwrap());
    });
    group.bench_function("decode", |bencher| bencher.iter(|| decode(black_box(&encoded)).unwrap()));
    let value = decode(&encoded).unwrap();
    group.bench_function("encode", |bencher| bencher.iter(|| encode(black_box(&value)).unwrap()));
    group.bench_function("canonicalise", |bencher| {
        bencher.iter(|| canonicalise(black_box(&encoded)).unwrap())
    });
    let canonical = canonicalise(&encoded).unwrap();
    group.bench_function("is_canonical", |bencher| {
        bencher.iter(|| assert!(is_canonical(black_box(&canonical))))
    });
    group.finish();
}

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    let values = [("integer", 123_456i64.into()), ("text", "chat/room/7".into()), ("float", 0.1.into())];
    for (name, value) in values {
        let value: Value = value;
        let encoded = encode(&value).unwrap();
        group.bench_function(name, |bencher| bencher.iter(|| encode_key(black_box(&value)).unwrap()));
        group.bench_function(format!("{name}, encoded"), |bencher| {
            bencher.iter(|| key_from_encoded(black_box(&encoded)).unwrap());
        });
    }
    group.finish();
}

/// What a sender may do to cost the most time per byte.
fn hostile(criterion: &mut Criterion) {
    let mut descending = vec![0xba, 0, 1, 0, 0];
    for key in (0..0x1_0000u32).rev() {
        encode(&key.into()).unwrap().into_iter().chain([0xf6]).for_each(|byte| descending.push(byte));
    }
    let mut nested_keys = Vec::new();
    for _ in 0..127 {
        // A map whose second key is another such map.
        nested_keys.extend_from_slice(&[0xa2, 0x00, 0xf6]);
    }
    nested_keys.push(0x01);
    nested_keys.extend_from_slice(&[0xf6; 127]);
    // All zeros, which normalising has to move into the exponent.
    let decimal: perper_values::Decimal = format!("1{}", "0".repeat(2465)).parse().unwrap();
    let coefficients = encode(&Value::Array(vec![decimal.into(); 64])).unwrap();
    let mut group = criterion.benchmark_group("hostile");
    for (name, input) in
        [("descending keys", descending), ("maps as keys", nested_keys), ("large coefficients", coefficients)]
    {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || &input,
                |input| canonicalise(black_box(input)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, structs, batches, keys, hostile);
criterion_main!(benches);
