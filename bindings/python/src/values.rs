//! The codec by itself: for tests, tools, and those who keep values elsewhere.

use pyo3::{prelude::*, types::PyBytes};

use crate::errors;

/// The bytes of a value.
#[pyfunction]
pub(crate) fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut bytes = Vec::new();
    crate::encode::encode(value, &mut bytes, "")?;
    Ok(PyBytes::new(value.py(), &bytes))
}

/// The key and the bytes of what a generator yields.
#[pyfunction]
pub(crate) fn encode_item<'py>(item: &Bound<'py, PyAny>) -> PyResult<(Option<i64>, Bound<'py, PyBytes>)> {
    let mut bytes = Vec::new();
    let key = crate::encode::encode_item(item, &mut bytes)?;
    Ok((key, PyBytes::new(item.py(), &bytes)))
}

/// The value that bytes stand for.
#[pyfunction]
pub(crate) fn decode<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    crate::decode::decode(py, data)
}

/// The bytes under which a value is stored as the key of a dictionary.
#[pyfunction]
pub(crate) fn encode_key<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut bytes = Vec::new();
    crate::encode::encode(value, &mut bytes, "key")?;
    let key = perper_values::key_from_encoded(&bytes)
        .map_err(|error| errors::not_encodable(&error.at_root("key")))?;
    Ok(PyBytes::new(value.py(), &key))
}

/// The value of a key, from the bytes under which it is stored.
#[pyfunction]
pub(crate) fn decode_key<'py>(py: Python<'py>, key: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let value = perper_values::decode_key(key).and_then(|value| perper_values::encode(&value));
    crate::decode::decode_key(py, &value.map_err(|error| errors::not_decodable(py, error))?)
}

/// The bytes of an equal value that all equal values share.
#[pyfunction]
pub(crate) fn canonicalise<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let canonical = perper_values::canonicalise(data).map_err(|error| errors::not_decodable(py, error))?;
    Ok(PyBytes::new(py, &canonical))
}
