//! What a drained batch says, as few objects of Python: a tuple for each record.

use pyo3::{
    IntoPyObjectExt as _,
    prelude::*,
    types::{IntoPyDict as _, PyDict, PyList, PyTuple},
};

use crate::{
    cursor::Cursor,
    decode::{decode, decode_all, decode_key, decode_results},
    errors::{self, Parts},
};

type Object<'py> = Bound<'py, PyAny>;

/// Appends the tuples of a batch:
///
/// * `(1, invocation, what, attempt, incarnation, remaining ms, execution, agent, instance, delegate, traceparent,
///   tracestate, headers or None, stream or None, arguments or the error why they cannot be read)`, where a stream is `(id,
///   last key or None, items, stride, first key, items to skip)`
/// * `(2, invocation, code)`
/// * `(3, request, error or None, answer)`
/// * `(4, error or None)`
pub(crate) fn read(py: Python<'_>, batch: &[u8], records: &Bound<'_, PyList>) -> PyResult<()> {
    let mut batch = Cursor::new(batch);
    while !batch.is_empty() {
        let mut record = batch.record()?;
        let tuple = match record.u8()? {
            1 => activation(py, &mut record)?,
            2 => (2, record.u64()?, record.u16()?).into_pyobject(py)?,
            3 => {
                let request = record.u64()?;
                let (error, answer) = match record.u8()? {
                    0 => match answer(py, &mut record) {
                        Ok(answer) => (None, answer),
                        Err(error) => (Some(error.into_value(py).into_bound(py).into_any()), none(py)),
                    },
                    _ => (Some(self::error(py, &mut record)?), none(py)),
                };
                (3, request, error, answer).into_pyobject(py)?
            }
            _ => {
                let error = if record.bool()? { Some(self::error(py, &mut record)?) } else { None };
                (4, error).into_pyobject(py)?
            }
        };
        records.append(tuple)?;
    }
    Ok(())
}

/// The answer of the only request of a batch, or its error.
pub(crate) fn only_answer<'py>(py: Python<'py>, batch: &[u8]) -> PyResult<Object<'py>> {
    let mut record = Cursor::new(batch).record()?;
    let (_kind, _request) = (record.u8()?, record.u64()?);
    match record.u8()? {
        0 => answer(py, &mut record),
        _ => Err(PyErr::from_value(error(py, &mut record)?)),
    }
}

fn none(py: Python<'_>) -> Object<'_> {
    py.None().into_bound(py)
}

fn activation<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let mut fields: Vec<Object<'py>> = Vec::with_capacity(15);
    let mut field = |value: Object<'py>| fields.push(value);
    field(1u8.into_bound_py_any(py)?);
    field(record.u64()?.into_bound_py_any(py)?);
    field(record.u8()?.into_bound_py_any(py)?);
    field(record.u32()?.into_bound_py_any(py)?);
    field(record.u64()?.into_bound_py_any(py)?);
    field(record.u64()?.into_bound_py_any(py)?);
    // Execution, agent, instance, delegate, traceparent, tracestate.
    for _ in 0..6 {
        field(record.text()?.into_bound_py_any(py)?);
    }
    let headers = record.list(|record| Ok((record.text()?, record.text()?)))?;
    field(match headers.is_empty() {
        true => none(py),
        false => headers.into_py_dict(py)?.into_any(),
    });
    field(match record.bool()? {
        false => none(py),
        true => {
            let stream = record.text()?;
            let last_key = record.optional_i64()?;
            let (items, stride, first_key) = (record.u64()?, record.u64()?, record.i64()?);
            (stream, last_key, items, stride, first_key, record.u64()?).into_bound_py_any(py)?
        }
    });
    let arguments = record.list(Cursor::bytes)?;
    field(match decode_all(py, &arguments) {
        Ok(arguments) => arguments.into_any(),
        Err(error) => error.into_value(py).into_bound(py).into_any(),
    });
    PyTuple::new(py, fields)
}

fn error<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    let (code, reason, message) = (record.u16()?, record.text()?, record.text()?);
    let failure = if record.bool()? { Some((record.text()?, record.text()?, record.text()?)) } else { None };
    let metadata = record.list(|record| Ok((record.text()?, record.text()?)))?;
    errors::exception(py, &Parts { code, reason, message, failure, metadata })
}

fn answer<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    match record.u8()? {
        0 => Ok(none(py)),
        1 => decode_results(py, &record.list(Cursor::bytes)?),
        2 => record.i64()?.into_bound_py_any(py),
        3 => {
            let incarnation = record.u64()?;
            (incarnation, decode_results(py, &record.list(Cursor::bytes)?)?).into_bound_py_any(py)
        }
        4 => items(py, record),
        5 => record.u64()?.into_bound_py_any(py),
        6 => {
            let (start, removed) = (record.i64()?, record.bool()?);
            (start, removed, options(py, record)?).into_bound_py_any(py)
        }
        7 => {
            let failed = record.i64()?;
            let results = record.list(|record| {
                let (applied, count) = (record.bool()?, record.u64()?);
                let value = record.optional_bytes()?;
                let present = value.is_some();
                let value = value.map_or_else(|| Ok(none(py)), |value| decode(py, value))?;
                Ok((applied, count, present, value))
            })?;
            (failed, results).into_bound_py_any(py)
        }
        8 => {
            let entries =
                record.list(|record| Ok((decode_key(py, record.bytes()?)?, decode(py, record.bytes()?)?)))?;
            (entries, record.bytes()?).into_bound_py_any(py)
        }
        9 => {
            let value = record.optional_bytes()?;
            let present = value.is_some();
            let value = value.map_or_else(|| Ok(none(py)), |value| decode(py, value))?;
            (present, value, record.i64()?, record.u64()?, record.bool()?).into_bound_py_any(py)
        }
        10 => {
            let elements = record.list(|record| decode(py, record.bytes()?))?;
            (elements, record.bytes()?).into_bound_py_any(py)
        }
        11 => stream(py, record),
        _ => {
            let pages = record.list(|record| items(py, record))?;
            (pages, end(py, record)?).into_bound_py_any(py)
        }
    }
}

/// Two lists: keys and values.
fn items<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    let keys = record.list(Cursor::i64)?;
    let mut values = record.bytes()?;
    let list = PyList::empty(py);
    for _ in &keys {
        let (length, rest) = varint(values);
        let (value, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        values = rest;
        list.append(decode(py, value)?)?;
    }
    (keys, list).into_bound_py_any(py)
}

/// A length as a base-128 varint, and what follows it.
fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let (mut length, mut shift) = (0usize, 0u32);
    for (position, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return (length, &bytes[position + 1..]);
        }
        shift += 7;
    }
    (usize::MAX, &[])
}

/// Persistent, action, stride, first key, backlog, indexed members.
fn options<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    let (persistent, action) = (record.bool()?, record.bool()?);
    let (stride, first_key, backlog) = (record.u64()?, record.i64()?, record.u64()?);
    let indexed = record.list(Cursor::text)?;
    (persistent, action, stride, first_key, backlog, indexed).into_bound_py_any(py)
}

/// `None` for a stream that goes on, else the skipped gaps and the error or `None`.
fn end<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    if !record.bool()? {
        return Ok(none(py));
    }
    let skipped = record.u64()?;
    let error = if record.bool()? { Some(self::error(py, record)?) } else { None };
    (skipped, error).into_bound_py_any(py)
}

fn stream<'py>(py: Python<'py>, record: &mut Cursor<'_>) -> PyResult<Object<'py>> {
    let info = PyDict::new(py);
    info.set_item("stream", record.text()?)?;
    info.set_item("options", options(py, record)?)?;
    info.set_item("owner", record.text()?)?;
    info.set_item("declared", record.bool()?)?;
    info.set_item("linked_execution", record.text()?)?;
    info.set_item("first_key", record.optional_i64()?)?;
    info.set_item("last_key", record.optional_i64()?)?;
    info.set_item("items_kept", record.u64()?)?;
    info.set_item("items_written", record.u64()?)?;
    info.set_item("bytes_kept", record.u64()?)?;
    info.set_item("listeners", record.u32()?)?;
    info.set_item("listened", record.bool()?)?;
    info.set_item("end", end(py, record)?)?;
    Ok(info.into_any())
}
