//! From CBOR to objects of Python, without a tree between.

use perper_values::{DateTime, Reader, Token, validate};
use pyo3::{
    IntoPyObjectExt as _,
    prelude::*,
    types::{PyBytes, PyDict, PyFrozenSet, PyList, PySet, PyString, PyTuple, PyTzInfo},
};

use crate::{errors, types::Types};

type Object<'py> = Bound<'py, PyAny>;

/// One value.
pub(crate) fn decode<'py>(py: Python<'py>, input: &[u8]) -> PyResult<Object<'py>> {
    from(py, input, false)
}

/// One value that is to be hashed: arrays become tuples, sets frozen sets.
pub(crate) fn decode_key<'py>(py: Python<'py>, input: &[u8]) -> PyResult<Object<'py>> {
    from(py, input, true)
}

/// None, one or several results: `None`, the value, or a tuple.
pub(crate) fn decode_results<'py>(py: Python<'py>, results: &[&[u8]]) -> PyResult<Object<'py>> {
    match results {
        [] => Ok(py.None().into_bound(py)),
        [one] => decode(py, one),
        several => Ok(decode_all(py, several)?.into_any()),
    }
}

/// Values, in a tuple.
pub(crate) fn decode_all<'py>(py: Python<'py>, values: &[&[u8]]) -> PyResult<Bound<'py, PyTuple>> {
    let values = values.iter().map(|value| decode(py, value)).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, values)
}

fn from<'py>(py: Python<'py>, input: &[u8], key: bool) -> PyResult<Object<'py>> {
    let mut reader = Reader::new(input);
    // A scalar that takes all the bytes needs no second look; whatever holds others does.
    let scalar = input.first().is_some_and(|first| !matches!(first >> 5, 4..=6));
    if !scalar {
        validate(input).map_err(|error| errors::not_decodable(py, error))?;
    }
    let value = build(py, &mut reader, key)?;
    reader.finish().map_err(|error| errors::not_decodable(py, error))?;
    Ok(value)
}

/// The value that the reader is at. It has been validated, which also bounds the recursion.
fn build<'py>(py: Python<'py>, reader: &mut Reader<'_>, key: bool) -> PyResult<Object<'py>> {
    let token = reader.token().map_err(|error| errors::not_decodable(py, error))?;
    Ok(match token {
        Token::Null => py.None().into_bound(py),
        Token::Bool(value) => value.into_bound_py_any(py)?,
        Token::Integer(value) => match i64::try_from(value) {
            Ok(value) => value.into_bound_py_any(py)?,
            Err(_) => value.into_bound_py_any(py)?,
        },
        Token::BigInteger { negative, magnitude } => big_integer(py, negative, magnitude)?,
        Token::Float(value) => value.into_bound_py_any(py)?,
        Token::Text(value) => PyString::new(py, value).into_any(),
        Token::Bytes(value) => PyBytes::new(py, value).into_any(),
        Token::Array(length) if key => PyTuple::new(py, elements(py, reader, length, key)?)?.into_any(),
        Token::Array(length) => {
            let list = PyList::empty(py);
            for _ in 0..length {
                list.append(build(py, reader, false)?)?;
            }
            list.into_any()
        }
        Token::Map(length) => map(py, reader, length, key)?,
        Token::DateTime(value) => date_time(py, &value)?,
        Token::Uuid(value) => {
            let arguments = PyDict::new(py);
            arguments.set_item("bytes", PyBytes::new(py, &value.0))?;
            Types::get(py)?.uuid.bind(py).call((), Some(&arguments))?
        }
        Token::Decimal(value) => Types::get(py)?.decimal.bind(py).call1((value.to_string(),))?,
        Token::Set(length) => set(py, reader, length, key)?,
        Token::Reference { r#type, id, options: length } => {
            let options = PyDict::new(py);
            for _ in 0..length {
                let name = build(py, reader, true)?;
                options.set_item(name, build(py, reader, key)?)?;
            }
            let types = Types::get(py)?;
            let classes = types.references.bind(py).cast::<PyDict>()?;
            match classes.get_item(r#type)? {
                Some(class) => class.call_method1("_read", (id, options))?,
                None => types.reference.bind(py).call1((r#type, id, options))?,
            }
        }
        Token::Tag(tag) => {
            let content = build(py, reader, key)?;
            Types::get(py)?.tagged.bind(py).call1((tag, content))?
        }
    })
}

fn elements<'py>(
    py: Python<'py>,
    reader: &mut Reader<'_>,
    length: usize,
    key: bool,
) -> PyResult<Vec<Object<'py>>> {
    (0..length).map(|_| build(py, reader, key)).collect()
}

/// A dictionary; or, where Python takes two different keys for equal (1 and true), or needs it hashable, its entries.
fn map<'py>(py: Python<'py>, reader: &mut Reader<'_>, length: usize, key: bool) -> PyResult<Object<'py>> {
    if !key {
        let start = reader.clone();
        let dict = PyDict::new(py);
        for _ in 0..length {
            let name = build(py, reader, true)?;
            dict.set_item(name, build(py, reader, false)?)?;
        }
        if dict.len() == length {
            return Ok(dict.into_any());
        }
        *reader = start;
    }
    let entries: Vec<_> = (0..length)
        .map(|_| Ok((build(py, reader, true)?, build(py, reader, key)?)))
        .collect::<PyResult<_>>()?;
    Types::get(py)?.entries.bind(py).call1((entries,))
}

/// A set; or, where Python takes two different elements for equal, its elements.
fn set<'py>(py: Python<'py>, reader: &mut Reader<'_>, length: usize, key: bool) -> PyResult<Object<'py>> {
    let elements = elements(py, reader, length, true)?;
    let set = match key {
        true => PyFrozenSet::new(py, &elements)?.into_any(),
        false => PySet::new(py, &elements)?.into_any(),
    };
    if set.len()? == length { Ok(set) } else { Types::get(py)?.elements.bind(py).call1((elements,)) }
}

/// An integer beyond 128 bits. A negative one is −1 − magnitude.
fn big_integer<'py>(py: Python<'py>, negative: bool, magnitude: &[u8]) -> PyResult<Object<'py>> {
    let class = py.get_type::<pyo3::types::PyInt>();
    let value = class.call_method1("from_bytes", (PyBytes::new(py, magnitude), "big"))?;
    if negative { value.call_method0("__invert__") } else { Ok(value) }
}

fn date_time<'py>(py: Python<'py>, value: &DateTime) -> PyResult<Object<'py>> {
    let local = value.unix_seconds() + i64::from(value.offset_minutes()) * 60;
    let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let zone = match value.offset_minutes() {
        0 => PyTzInfo::utc(py)?.to_owned(),
        minutes => {
            let delta = pyo3::types::PyDelta::new(py, 0, i32::from(minutes) * 60, 0, true)?;
            PyTzInfo::fixed_offset(py, delta)?
        }
    };
    let micros = value.nanoseconds() / 1000;
    let fields = (year, month, day, second / 3600, second / 60 % 60, second % 60, micros, zone);
    let types = Types::get(py)?;
    match value.nanoseconds() % 1000 {
        0 => types.datetime.bind(py).call1(fields),
        // What a `datetime` has no room for.
        nanos => {
            let timestamp = types.timestamp.bind(py).call1(fields)?;
            timestamp.setattr("nanosecond", nanos)?;
            Ok(timestamp)
        }
    }
}

/// Year, month and day of a number of days since 1970-01-01. Years begin in March here, so that the leap day is the
/// last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}
