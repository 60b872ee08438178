//! Runs the golden vectors, which an independent implementation in Python wrote.

use perper_values::{
    Reader, Token, canonicalise, decode, decode_key, encode, encode_key, equal, from_slice, is_canonical,
    key_from_encoded, to_vec, validate,
};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::path::Path;

#[derive(Deserialize)]
struct Accepted {
    name: String,
    hex: String,
    canonical: String,
    key: Option<String>,
    key_reason: Option<String>,
    key_path: Option<String>,
}

#[derive(Deserialize)]
struct Rejected {
    name: String,
    hex: String,
    reason: String,
    path: String,
}

#[derive(Deserialize)]
struct Key {
    diagnostic: String,
    hex: String,
    key: String,
}

#[derive(Deserialize)]
struct RejectedKey {
    name: String,
    hex: String,
}

#[derive(Deserialize)]
struct Equality {
    equal: Vec<Group>,
    different: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    hex: Vec<String>,
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn accepted() {
    for vector in read::<Vec<Accepted>>("accepted.json") {
        let name = &vector.name;
        let input = bytes(&vector.hex);
        validate(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
        let canonical = canonicalise(&input).unwrap();
        assert_eq!(hex(&canonical), vector.canonical, "{name}");
        assert_eq!(is_canonical(&input), input == canonical, "{name}");
        assert!(is_canonical(&canonical), "{name}");
        assert_eq!(canonicalise(&canonical).unwrap(), canonical, "{name}");

        // What passes through keeps its value, by each of the ways.
        let value = decode(&input).unwrap();
        let rewritten = encode(&value).unwrap();
        assert_eq!(hex(&canonicalise(&rewritten).unwrap()), vector.canonical, "{name}");
        assert_eq!(to_vec(&value).unwrap(), rewritten, "{name}");
        assert!(decode(&canonical).unwrap() == value, "{name}");
        let typed: perper_values::Value = from_slice(&input).unwrap();
        assert_eq!(encode(&typed).unwrap(), rewritten, "{name}");
        from_slice::<IgnoredAny>(&input).unwrap();

        match encode_key(&value) {
            Ok(key) => {
                assert_eq!(Some(hex(&key)), vector.key, "{name}");
                assert_eq!(key_from_encoded(&canonical).unwrap(), key, "{name}");
                assert_eq!(hex(&encode(&decode_key(&key).expect(name)).unwrap()), vector.canonical, "{name}");
            }
            Err(error) => {
                assert_eq!(Some(error.kind().code()), vector.key_reason.as_deref(), "{name}");
                assert_eq!(Some(error.path()), vector.key_path, "{name}");
            }
        }
    }
}

#[test]
fn rejected() {
    for vector in read::<Vec<Rejected>>("rejected.json") {
        let (name, input) = (&vector.name, bytes(&vector.hex));
        let check = |what: &str, result: perper_values::Result<()>| match result {
            Ok(()) => panic!("{name}: {what} accepts it"),
            Err(error) => {
                let found = (error.kind().code(), error.path());
                assert_eq!(found, (vector.reason.as_str(), vector.path.clone()), "{name}: {what}: {error}");
            }
        };
        check("validate", validate(&input));
        check("canonicalise", canonicalise(&input).map(drop));
        check("decode", decode(&input).map(drop));
        check("from_slice", from_slice::<IgnoredAny>(&input).map(drop));
        assert!(!is_canonical(&input), "{name}");
    }
}

#[test]
fn keys_ascend() {
    let vectors: Vec<Key> = read("keys.json");
    for vector in &vectors {
        let key = key_from_encoded(&bytes(&vector.hex)).unwrap();
        assert_eq!(hex(&key), vector.key, "{}", vector.diagnostic);
        let back = decode_key(&key).unwrap();
        assert!(equal(&encode(&back).unwrap(), &bytes(&vector.hex)).unwrap(), "{}", vector.diagnostic);
    }
    for pair in vectors.windows(2) {
        let (less, greater) = (bytes(&pair[0].key), bytes(&pair[1].key));
        assert!(less < greater, "{} and {}", pair[0].diagnostic, pair[1].diagnostic);
    }
}

#[test]
fn rejected_keys() {
    for vector in read::<Vec<RejectedKey>>("rejected_keys.json") {
        if let Ok(value) = decode_key(&bytes(&vector.hex)) {
            panic!("{}: read as {value:?}", vector.name);
        }
    }
}

#[test]
fn equality() {
    let Equality { equal: equals, different } = read("equality.json");
    for group in equals {
        for other in &group.hex[1..] {
            let (a, b) = (bytes(&group.hex[0]), bytes(other));
            assert!(equal(&a, &b).unwrap(), "{}", group.name);
            assert!(decode(&a).unwrap() == decode(&b).unwrap(), "{}", group.name);
        }
    }
    for group in different {
        let (a, b) = (bytes(&group.hex[0]), bytes(&group.hex[1]));
        assert!(!equal(&a, &b).unwrap(), "{}", group.name);
        assert!(decode(&a).unwrap() != decode(&b).unwrap(), "{}", group.name);
    }
}

#[test]
fn tokens_cover_every_byte() {
    for vector in read::<Vec<Accepted>>("accepted.json") {
        let input = bytes(&vector.hex);
        let mut reader = Reader::new(&input);
        let mut pending = 1;
        while pending > 0 {
            pending -= 1;
            match reader.token().unwrap() {
                Token::Array(length) | Token::Set(length) => pending += length,
                Token::Map(length) | Token::Reference { options: length, .. } => pending += 2 * length,
                Token::Tag(_) => pending += 1,
                _ => {}
            }
        }
        reader.finish().unwrap_or_else(|error| panic!("{}: {error}", vector.name));
    }
}
