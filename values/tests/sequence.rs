//! None, one or several values: what callers pass and calls return.

use bytes::Bytes;
use perper_values::Sequence::{Parameters, Results};
use perper_values::{DateTime, ErrorKind, Result, Value, to_vec};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Pair(i32, i32);

fn encoded(values: &[Value]) -> Vec<Bytes> {
    values.iter().map(|value| to_vec(value).unwrap().into()).collect()
}

#[test]
fn what_is_returned_decides_how_many() -> Result<()> {
    let count = |encoded: Result<Vec<Bytes>>| encoded.map(|values| values.len());
    assert_eq!(count(Results.encode(&()))?, 0);
    assert_eq!(count(Results.encode(&None::<i32>))?, 0);
    assert_eq!(count(Results.encode(&Value::Null))?, 0);
    assert_eq!(count(Results.encode(&Some(1)))?, 1);
    assert_eq!(count(Results.encode(&Some((1, 2))))?, 2);
    assert_eq!(count(Results.encode(&(1,)))?, 1);
    assert_eq!(count(Results.encode(&(1, "two", None::<()>)))?, 3);
    assert_eq!(count(Results.encode(&vec![1, 2]))?, 1);
    assert_eq!(count(Results.encode(&Pair(1, 2)))?, 1);
    assert_eq!(count(Results.encode("text"))?, 1);
    // Arrays of fixed size are one value, however they are wrapped.
    assert_eq!(count(Results.encode(&[1, 2, 3]))?, 1);
    assert_eq!(count(Results.encode(&&[1, 2, 3]))?, 1);
    assert_eq!(count(Results.encode(&Some([1, 2, 3])))?, 1);
    assert_eq!(count(Results.encode(&Some(Box::new([1, 2, 3]))))?, 1);
    assert_eq!(Results.encode(&(1, "two"))?, encoded(&[1.into(), "two".into()]));
    Ok(())
}

#[test]
fn what_is_asked_for_decides_what_is_taken() -> Result<()> {
    let two = encoded(&[1.into(), "two".into()]);
    assert_eq!(Results.decode::<(i32, String), _>(&two)?, (1, "two".into()));
    assert_eq!(Results.decode::<i32, _>(&two)?, 1);
    Results.decode::<(), _>(&two)?;
    assert_eq!(Results.decode::<(i32, &str, Option<i32>), _>(&two)?, (1, "two", None));
    assert_eq!(Results.decode::<Option<i32>, _>(&two)?, Some(1));
    assert_eq!(Results.decode::<Option<(i32, String)>, _>(&two)?, Some((1, "two".into())));
    assert_eq!(Results.decode::<Value, _>(&two)?, 1.into());

    let none: [Bytes; 0] = [];
    assert_eq!(Results.decode::<Option<i32>, _>(&none)?, None);
    assert_eq!(Results.decode::<Value, _>(&none)?, Value::Null);
    Results.decode::<(), _>(&none)?;

    let array = Results.encode(&[1, 2, 3])?;
    assert_eq!(Results.decode::<[i32; 3], _>(&array)?, [1, 2, 3]);
    assert_eq!(Results.decode::<Option<[i32; 3]>, _>(&array)?, Some([1, 2, 3]));
    assert_eq!(Results.decode::<Option<[i32; 3]>, _>(&none)?, None);
    assert_eq!(Results.decode::<Vec<i32>, _>(&array)?, [1, 2, 3]);
    assert_eq!(Results.decode::<Pair, _>(&Results.encode(&Pair(1, 2))?)?, Pair(1, 2));
    let at: DateTime = "2024-02-29T12:30:00Z".parse()?;
    assert_eq!(Results.decode::<DateTime, _>(&Results.encode(&at)?)?, at);
    Ok(())
}

#[test]
fn errors_name_the_parameter() {
    let one = encoded(&[1.into()]);
    let missing = Parameters.decode::<(i32, String), _>(&one).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    assert_eq!(missing.to_string(), "parameters[1]: the parameter at position 1 is missing");
    let missing = Parameters.element::<Value, _>(&one, 1).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Missing);
    let wrong = Parameters.decode::<(String,), _>(&one).unwrap_err();
    assert_eq!(wrong.path(), "parameters[0]");
    let nested = encoded(&[1.into(), Value::Array(vec!["x".into()])]);
    assert_eq!(Parameters.decode::<(i32, Vec<i32>), _>(&nested).unwrap_err().path(), "parameters[1][0]");
    assert_eq!(Parameters.element::<Vec<i32>, _>(&nested, 1).unwrap_err().path(), "parameters[1][0]");
    assert_eq!(Results.decode::<i32, _>(&nested[1..]).unwrap_err().path(), "results[0]");
    let hostile = [vec![0x9f, 0xff]];
    let error = Parameters.decode::<(Vec<i32>,), _>(&hostile).unwrap_err();
    assert_eq!((error.kind(), error.path().as_str()), (ErrorKind::Indefinite, "parameters[0]"));
}

#[test]
fn trailing_parameters() -> Result<()> {
    let values = encoded(&[1.into(), 2.into(), 3.into()]);
    assert_eq!(Parameters.rest::<i32, _>(&values, 1)?, [2, 3]);
    assert_eq!(Parameters.rest::<i32, _>(&values, 7)?, [0; 0]);
    let mixed = encoded(&[1.into(), "x".into()]);
    assert_eq!(Parameters.rest::<i32, _>(&mixed, 0).unwrap_err().path(), "parameters[1]");
    Ok(())
}
