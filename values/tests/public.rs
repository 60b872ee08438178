//! What the public types promise by themselves.

use perper_values::{
    DateTime, Decimal, Error, Integer, Options, RawValue, Reader, Reference, Set, Token, Uuid, Value,
};

#[test]
fn values_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Value>();
    check::<RawValue>();
    check::<Reference>();
    check::<Options>();
    check::<Integer>();
    check::<Decimal>();
    check::<DateTime>();
    check::<Uuid>();
    check::<Set<Vec<Value>>>();
    check::<Error>();
    check::<Reader<'static>>();
    check::<Token<'static>>();
}

#[test]
fn sizes_stay_what_the_documentation_says() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert!(size_of::<Value>() <= 80, "{}", size_of::<Value>());
}

#[test]
fn byte_strings_share_the_input() {
    let input = bytes::Bytes::from(perper_values::to_vec(&bytes::Bytes::from_static(b"shared")).unwrap());
    let Ok(Value::Bytes(shared)) = perper_values::decode_bytes(&input) else { panic!("no bytes") };
    assert!(input.as_ptr_range().contains(&shared.as_ptr()));
}
