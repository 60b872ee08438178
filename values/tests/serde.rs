//! Types of one's own to bytes and back, by the rules of the language table.

use bytes::Bytes;
use perper_values::{
    DateTime, Decimal, Error, ErrorKind, Integer, RawValue, Reference, Result, Set, Uuid, Value, decode,
    encode, from_slice, reference, to_vec,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> Value {
    let bytes = to_vec(&value).unwrap();
    assert_eq!(from_slice::<T>(&bytes).unwrap(), value);
    decode(&bytes).unwrap()
}

fn map(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Person {
    user_name: String,
    age: u8,
    email: Option<String>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Shape {
    Nothing,
    Circle(f64),
    Line(i32, i32),
    FilledRectangle { width: u32, height: u32 },
}

#[test]
fn structs_are_maps_of_their_members() {
    let person = Person { user_name: "ada".into(), age: 36, email: None };
    let value = round_trip(person);
    assert_eq!(value, map([("user_name", "ada".into()), ("age", 36.into()), ("email", Value::Null)]));
}

#[test]
fn members_match_exactly_then_ignoring_case_and_underscores() -> Result<()> {
    let camel = map([("userName", "ada".into()), ("Age", 36.into()), ("unknown", Value::Array(vec![]))]);
    let person: Person = from_slice(&encode(&camel)?)?;
    assert_eq!(person, Person { user_name: "ada".into(), age: 36, email: None });

    // The exact one wins wherever it stands, else the first.
    for names in [["userName", "user_name"], ["user_name", "USERNAME"]] {
        let both = map([(names[0], names[0].into()), (names[1], names[1].into()), ("age", 1.into())]);
        assert_eq!(from_slice::<Person>(&encode(&both)?)?.user_name, "user_name");
    }
    let neither = map([("userName", "first".into()), ("UserName", "second".into()), ("age", 1.into())]);
    assert_eq!(from_slice::<Person>(&encode(&neither)?)?.user_name, "first");
    Ok(())
}

#[test]
fn a_key_that_is_no_text_is_an_unknown_member() -> Result<()> {
    let value = Value::Map(vec![
        (0.into(), "by number".into()),
        ("user_name".into(), "by name".into()),
        ("age".into(), 1.into()),
    ]);
    assert_eq!(from_slice::<Person>(&encode(&value)?)?.user_name, "by name");
    Ok(())
}

#[test]
fn enums_are_names_or_maps_of_one_entry() -> Result<()> {
    assert_eq!(round_trip(Shape::Nothing), "Nothing".into());
    assert_eq!(round_trip(Shape::Circle(1.5)), map([("Circle", 1.5.into())]));
    let line = Value::Array(vec![1.into(), 2.into()]);
    assert_eq!(round_trip(Shape::Line(1, 2)), map([("Line", line)]));
    let sides = map([("width", 1.into()), ("height", 2.into())]);
    assert_eq!(round_trip(Shape::FilledRectangle { width: 1, height: 2 }), map([("FilledRectangle", sides)]));
    assert_eq!(from_slice::<Shape>(&to_vec("NOTHING")?)?, Shape::Nothing);
    let folded = map([("filled_rectangle", map([("Width", 1.into()), ("Height", 2.into())]))]);
    assert!(matches!(from_slice(&encode(&folded)?)?, Shape::FilledRectangle { width: 1, height: 2 }));
    Ok(())
}

#[test]
fn integral_numbers_are_read_as_either() -> Result<()> {
    assert_eq!(from_slice::<i32>(&to_vec(&5.0)?)?, 5);
    assert_eq!(from_slice::<f64>(&to_vec(&5)?)?, 5.0);
    assert_eq!(from_slice::<f32>(&to_vec(&-5i64)?)?, -5.0);
    assert_eq!(from_slice::<f64>(&to_vec(&u128::MAX)?)?, u128::MAX as f64);
    assert_eq!(from_slice::<u128>(&to_vec(&2f64.powi(100))?)?, 1 << 100);
    assert_eq!(from_slice::<i32>(&to_vec(&5.5)?).unwrap_err().kind(), ErrorKind::Type);
    assert_eq!(from_slice::<u8>(&to_vec(&256)?).unwrap_err().kind(), ErrorKind::Range);
    assert_eq!(from_slice::<u8>(&to_vec(&-1)?).unwrap_err().kind(), ErrorKind::Range);
    Ok(())
}

#[test]
fn integers_of_every_size() {
    for value in [0, 1, -1, i128::from(i64::MAX), i128::from(u64::MAX) + 1, i128::MAX, i128::MIN] {
        round_trip(value);
        round_trip(Integer::from(value));
    }
    round_trip(u128::MAX);
    let huge = Integer::from_bignum(true, &[0xff; 40]);
    assert_eq!(round_trip(huge.clone()), Value::Integer(huge));
}

#[test]
fn scalars_and_collections() {
    round_trip('ß');
    round_trip(true);
    round_trip(());
    round_trip(f32::MIN_POSITIVE);
    round_trip((1, "two".to_owned(), 3.5));
    round_trip([1u8, 2, 3]);
    round_trip(BTreeMap::from([(1, "one".to_owned()), (2, "two".to_owned())]));
    round_trip(HashMap::from([((1, 2), Some(Shape::Nothing)), ((0, 0), None)]));
    round_trip(vec![Some(1), None]);
    assert_eq!(round_trip(Bytes::from_static(b"abc")), Value::Bytes(Bytes::from_static(b"abc")));
}

#[test]
fn bytes_are_read_as_vectors() -> Result<()> {
    let bytes = to_vec(&Bytes::from_static(b"abc"))?;
    assert_eq!(from_slice::<Vec<u8>>(&bytes)?, b"abc");
    assert_eq!(from_slice::<&[u8]>(&bytes)?, b"abc");
    assert_eq!(from_slice::<Bytes>(&to_vec(&vec![1u8, 2])?)?, Bytes::from_static(&[1, 2]));
    Ok(())
}

#[test]
fn sets() -> Result<()> {
    let set = Set(BTreeSet::from([1, 2]));
    assert_eq!(round_trip(set.clone()), Value::Set(vec![1.into(), 2.into()]));
    assert_eq!(from_slice::<HashSet<i32>>(&to_vec(&set)?)?, HashSet::from([1, 2]));
    assert_eq!(from_slice::<Set<BTreeSet<i32>>>(&to_vec(&[1, 2])?)?, set);
    assert_eq!(from_slice::<Vec<i32>>(&to_vec(&set)?)?, [1, 2]);
    let equal = to_vec(&Set(vec![1, 1])).unwrap_err();
    assert_eq!((equal.kind(), equal.path().as_str()), (ErrorKind::Duplicate, "[1]"));
    Ok(())
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Everything {
    at: DateTime,
    id: Uuid,
    price: Decimal,
    stream: Reference,
    any: Value,
    raw: RawValue,
}

fn everything() -> Everything {
    Everything {
        at: "2024-02-29T12:30:00.123456789+05:30".parse().unwrap(),
        id: Uuid([7; 16]),
        price: "-12.50".parse().unwrap(),
        stream: Reference::new(reference::STREAM, "s1").with_option("later", vec![Value::Null]),
        any: Value::Tagged(1000, Box::new(Value::Set(vec![1.into(), Value::Uuid(Uuid([1; 16]))]))),
        raw: RawValue::new(vec![0x83, 1, 2, 0xf6]).unwrap(),
    }
}

#[test]
fn our_own_types_inside_others() {
    let all = everything();
    let value = round_trip(all.clone());
    assert!(matches!(value.get("at"), Some(Value::DateTime(at)) if at.offset_minutes() == 330));
    assert_eq!(value.get("id"), Some(&Value::Uuid(all.id)));
    assert_eq!(value.get("price"), Some(&Value::Decimal(all.price)));
    assert_eq!(value.get("stream"), Some(&Value::Reference(all.stream)));
    assert_eq!(value.get("any"), Some(&all.any));
    assert_eq!(value.get("raw"), Some(&Value::Array(vec![1.into(), 2.into(), Value::Null])));
}

#[test]
fn a_value_serialises_as_it_encodes() -> Result<()> {
    let value = decode(&to_vec(&everything())?)?;
    assert_eq!(to_vec(&value)?, encode(&value)?);
    Ok(())
}

#[test]
fn other_formats_show_the_content() {
    let all = everything();
    let json = serde_json::to_value((&all.at, &all.id, &all.price)).unwrap();
    assert_eq!(
        json,
        serde_json::json!([
            "2024-02-29T12:30:00.123456789+05:30",
            "07070707-0707-0707-0707-070707070707",
            "-12.50"
        ])
    );
    let (at, id, price): (DateTime, Uuid, Decimal) = serde_json::from_value(json).unwrap();
    assert_eq!((at, id, price), (all.at, all.id, all.price));
    let value: Value = serde_json::from_str(r#"{"a": [1, -2, 1.5, null, true, "x"]}"#).unwrap();
    assert_eq!(value.get("a").map(Value::type_name), Some("an array"));
}

#[test]
fn untagged_enums_and_flattened_members_see_the_content() -> Result<()> {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Either {
        At(DateTime),
        Text(String),
        Number(Decimal),
    }
    let at: DateTime = "2024-02-29T12:30:00Z".parse()?;
    assert_eq!(from_slice::<Either>(&to_vec(&at)?)?, Either::At(at));
    assert_eq!(from_slice::<Either>(&to_vec("x")?)?, Either::Text("x".into()));

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Open {
        known: i32,
        #[serde(flatten)]
        rest: BTreeMap<String, i32>,
    }
    round_trip(Open { known: 1, rest: BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]) });
    Ok(())
}

#[test]
fn a_hook_by_hand_needs_no_allocation() -> Result<()> {
    struct Execution<'a>(&'a str);
    impl Serialize for Execution<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let options = BTreeMap::<&str, i32>::new();
            serializer
                .serialize_newtype_struct(perper_values::REFERENCE, &(reference::EXECUTION, self.0, options))
        }
    }
    let bytes = to_vec(&[Execution("e1")])?;
    assert_eq!(from_slice::<[Reference; 1]>(&bytes)?[0], Reference::new(reference::EXECUTION, "e1"));
    let (kind, id, _): (&str, &str, BTreeMap<&str, i32>) = from_slice(&bytes[1..])?;
    assert_eq!((kind, id), (reference::EXECUTION, "e1"));
    Ok(())
}

#[test]
fn errors_name_the_place() -> Result<()> {
    let wrong = encode(&map([("people", Value::Array(vec![map([("age", "old".into())])]))]))?;
    let error = from_slice::<HashMap<String, Vec<Person>>>(&wrong).unwrap_err();
    assert_eq!(error.path(), "['people'][0]['age']");
    assert_eq!(
        error.at_root("parameters").to_string().split(": ").next(),
        Some("parameters['people'][0]['age']")
    );

    let missing = from_slice::<Person>(&encode(&map([("age", 1.into())]))?).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert!(missing.message().contains("'user_name'"));

    let variant = from_slice::<Shape>(&encode(&map([("Line", Value::Array(vec![1.into(), "x".into()]))]))?);
    assert_eq!(variant.unwrap_err().path(), "['Line'][1]");

    struct Unwilling;
    impl Serialize for Unwilling {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("a file cannot travel"))
        }
    }
    let error = to_vec(&BTreeMap::from([("a", vec![None, Some(Unwilling)])])).unwrap_err();
    assert_eq!(error.to_string(), "['a'][1]: a file cannot travel");
    Ok(())
}

#[test]
fn a_map_with_equal_keys_is_not_written() {
    let error = to_vec(&Value::Map(vec![(1.into(), Value::Null), (1.0.into(), Value::Null)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    let mut buffer = vec![1, 2, 3];
    let failed: Result<(), Error> = perper_values::to_buffer(&Set([0, 0]), &mut buffer);
    assert!(failed.is_err());
    assert_eq!(buffer, [1, 2, 3]);
}
