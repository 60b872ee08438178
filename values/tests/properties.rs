//! What holds for all values, checked on random ones.

use perper_values::{
    DateTime, Decimal, Integer, Reference, Uuid, Value, canonicalise, decode, decode_bytes, decode_key,
    encode, encode_key, equal, is_canonical, reference, validate,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cmp::Ordering;

fn integer() -> impl Strategy<Value = Integer> {
    prop_oneof![
        (-30i64..30).prop_map(Integer::from),
        any::<i64>().prop_map(Integer::from),
        any::<i128>().prop_map(Integer::from),
        (any::<bool>(), vec(any::<u8>(), 0..40))
            .prop_map(|(negative, bytes)| Integer::from_bignum(negative, &bytes)),
    ]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        (-40i32..40).prop_map(|quarters| f64::from(quarters) / 4.0),
    ]
}

fn decimal() -> impl Strategy<Value = Decimal> {
    let exponent = prop_oneof![-5..5, any::<i32>()];
    (integer(), exponent).prop_map(|(coefficient, exponent)| Decimal::new(coefficient, exponent).unwrap())
}

fn date_time() -> impl Strategy<Value = DateTime> {
    let seconds = prop_oneof![-62_135_000_000i64..253_402_000_000, -3i64..3];
    (seconds, prop_oneof![Just(0), 0..1_000_000_000u32], -1439..1440i16)
        .prop_map(|(seconds, nanoseconds, offset)| DateTime::new(seconds, nanoseconds, offset).unwrap())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        integer().prop_map(Value::from),
        float().prop_map(Value::from),
        decimal().prop_map(Value::from),
        "[a-c\\x00]{0,3}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        vec(prop_oneof![Just(0u8), any::<u8>()], 0..5).prop_map(|bytes| Value::Bytes(bytes.into())),
        date_time().prop_map(Value::from),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid(bytes))),
    ]
}

fn reference() -> impl Strategy<Value = Value> {
    ("[ab]{0,2}", -2..2, any::<Option<bool>>()).prop_map(|(id, start, capability)| {
        let reference = Reference::new(reference::STREAM, id).with_option("start", start);
        Value::Reference(match capability {
            Some(capability) => reference.with_option(reference::CAPABILITY, capability),
            None => reference,
        })
    })
}

fn distinct(values: Vec<Value>) -> Vec<Value> {
    values.into_iter().fold(Vec::new(), |mut kept, value| {
        if !kept.contains(&value) {
            kept.push(value);
        }
        kept
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![1 => Just(Value::Null), 8 => scalar(), 1 => reference()];
    leaf.prop_recursive(4, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec(inner.clone(), 0..20).prop_map(|elements| Value::Set(distinct(elements))),
            (vec(inner.clone(), 0..20), inner.clone()).prop_map(|(keys, value)| {
                Value::Map(distinct(keys).into_iter().map(|key| (key, value.clone())).collect())
            }),
            (1000u64..1010, inner).prop_map(|(tag, content)| Value::Tagged(tag, Box::new(content))),
        ]
    })
}

fn key() -> impl Strategy<Value = Value> {
    prop_oneof![scalar(), reference()]
        .prop_recursive(3, 12, 4, |inner| vec(inner, 0..4).prop_map(Value::Array))
}

/// A number as an exact fraction, small enough to compare by multiplying crosswise.
#[derive(Clone, Debug)]
struct Number {
    value: Value,
    numerator: i128,
    denominator: i128,
    decimal: bool,
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        (-(1i64 << 50)..1 << 50, 0u32..20).prop_map(|(numerator, places)| {
            let denominator = 1i128 << places;
            let value = Value::Float(numerator as f64 / denominator as f64);
            Number { value, numerator: numerator.into(), denominator, decimal: false }
        }),
        (-1000i64..1000).prop_map(|integer| Number {
            value: integer.into(),
            numerator: integer.into(),
            denominator: 1,
            decimal: false
        }),
        (-1_000_000i64..1_000_000, 0u32..6).prop_map(|(numerator, places)| Number {
            value: Value::Decimal(Decimal::new(numerator, -(places as i32)).unwrap()),
            numerator: numerator.into(),
            denominator: 10i128.pow(places),
            decimal: true
        }),
    ]
}

/// The order of keys as the README tells it, by comparing values rather than bytes.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Bool(_) => 0,
            Value::Integer(_) | Value::Float(_) | Value::Decimal(_) => 1,
            Value::Text(_) => 2,
            Value::Bytes(_) => 3,
            Value::DateTime(_) => 4,
            Value::Uuid(_) => 5,
            Value::Reference(_) => 6,
            _ => 7,
        }
    }
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b),
            (a, b) => Some(a.cmp(&b)),
        },
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        (Value::Uuid(a), Value::Uuid(b)) => Some(a.cmp(b)),
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b) {
                match compare(a, b) {
                    Some(Ordering::Equal) => {}
                    unequal => return unequal,
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        // Numbers of two types have a test of their own, references are only compared for equality.
        _ if rank(a) == rank(b) => None,
        _ => Some(rank(a).cmp(&rank(b))),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in value()) {
        let bytes = encode(&value).unwrap();
        let back = decode(&bytes).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(encode(&back).unwrap(), &bytes[..]);
        prop_assert_eq!(perper_values::to_vec(&value).unwrap(), &bytes[..]);
        prop_assert_eq!(decode_bytes(&bytes.into()).unwrap(), value);
    }

    #[test]
    fn the_canonical_form_is_one(value in value()) {
        let bytes = encode(&value).unwrap();
        let canonical = canonicalise(&bytes).unwrap();
        prop_assert_eq!(is_canonical(&bytes), bytes == canonical);
        prop_assert!(is_canonical(&canonical));
        prop_assert!(equal(&bytes, &canonical).unwrap());
        prop_assert_eq!(decode(&canonical).unwrap(), value);
    }

    #[test]
    fn order_in_maps_and_sets_does_not_count(keys in vec(value(), 0..30)) {
        let keys = distinct(keys);
        let reversed: Vec<_> = keys.iter().rev().cloned().collect();
        let map = |keys: &[Value]| Value::Map(keys.iter().map(|key| (key.clone(), Value::Null)).collect());
        let canonical = |value: &Value| canonicalise(&encode(value).unwrap()).unwrap();
        prop_assert_eq!(canonical(&map(&keys)), canonical(&map(&reversed)));
        prop_assert_eq!(map(&keys), map(&reversed));
        prop_assert_eq!(canonical(&Value::Set(keys)), canonical(&Value::Set(reversed)));
    }

    #[test]
    fn equality_is_that_of_the_canonical_bytes(a in value(), b in value()) {
        let (x, y) = (encode(&a).unwrap(), encode(&b).unwrap());
        prop_assert_eq!(a == b, equal(&x, &y).unwrap());
    }

    #[test]
    fn duplicates_are_found(keys in vec(0i32..60, 0..40), floats in any::<bool>()) {
        let mut unique = keys.clone();
        unique.sort_unstable();
        unique.dedup();
        let value = |key: &i32| if floats && key % 2 == 0 { f64::from(*key).into() } else { Value::from(*key) };
        let map = Value::Map(keys.iter().map(|key| (value(key), Value::Null)).collect());
        prop_assert_eq!(encode(&map).is_ok(), unique.len() == keys.len());
        let set = Value::Set(keys.iter().map(value).collect());
        prop_assert_eq!(encode(&set).is_ok(), unique.len() == keys.len());
    }

    #[test]
    fn keys_are_equal_if_the_values_are(a in key(), b in key()) {
        let (x, y) = (encode_key(&a).unwrap(), encode_key(&b).unwrap());
        prop_assert_eq!(a == b, x == y);
        let back = decode_key(&x).unwrap();
        prop_assert!(back == a);
        prop_assert!(is_canonical(&encode(&back).unwrap()));
    }

    #[test]
    fn keys_order_as_the_values_do(a in key(), b in key()) {
        if let Some(order) = compare(&a, &b) {
            prop_assert_eq!(encode_key(&a).unwrap().cmp(&encode_key(&b).unwrap()), order);
        }
    }

    #[test]
    fn numbers_of_all_types_have_one_order(a in number(), b in number()) {
        let order = (a.numerator * b.denominator).cmp(&(b.numerator * a.denominator));
        let order = order.then(a.decimal.cmp(&b.decimal));
        prop_assert_eq!(encode_key(&a.value).unwrap().cmp(&encode_key(&b.value).unwrap()), order);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..60)) {
        judge(&bytes);
    }

    #[test]
    fn damaged_values_do_no_harm(value in value(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&value).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        judge(&bytes);
        judge(&bytes[..place]);
    }

    #[test]
    fn damaged_keys_do_no_harm(key in key(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode_key(&key).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        for bytes in [&bytes[..], &bytes[..place], &bytes[place..]] {
            if let Ok(value) = decode_key(bytes) {
                prop_assert_eq!(encode_key(&value).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn floats_and_integers(float in float(), integer in integer()) {
        if let Some(integral) = Integer::from_f64(float) {
            prop_assert_eq!(integral.to_f64(), Some(float));
            prop_assert_eq!(integral.to_string().parse::<f64>().unwrap(), float);
        } else {
            prop_assert!(!float.is_finite() || float.fract() != 0.0);
        }
        // Rust's parser rounds correctly, so it is the reference.
        prop_assert_eq!(integer.to_f64(), Some(integer.to_string().parse::<f64>().unwrap()));
    }

    #[test]
    fn texts_of_scalars(decimal in decimal(), at in date_time(), uuid in any::<[u8; 16]>()) {
        let back: Decimal = decimal.to_string().parse().unwrap();
        prop_assert_eq!((back.coefficient(), back.exponent()), (decimal.coefficient(), decimal.exponent()));
        let back: DateTime = at.to_string().parse().unwrap();
        prop_assert_eq!(back, at);
        prop_assert_eq!(back.offset_minutes(), at.offset_minutes());
        prop_assert_eq!(Uuid(uuid).to_string().parse::<Uuid>().unwrap(), Uuid(uuid));
    }
}

/// All ways of reading agree on whether the bytes are a value, and on which.
fn judge(bytes: &[u8]) {
    let valid = validate(bytes);
    let canonical = canonicalise(bytes);
    assert_eq!(valid.is_ok(), canonical.is_ok(), "{valid:?} {canonical:?}");
    match decode(bytes) {
        Ok(value) => {
            assert!(valid.is_ok());
            let canonical = canonical.unwrap();
            assert_eq!(canonicalise(&encode(&value).unwrap()).unwrap(), canonical);
            assert_eq!(is_canonical(bytes), bytes == canonical);
        }
        Err(error) => assert_eq!(Err(error), valid),
    }
    let _ = decode_key(bytes);
}
