use std::sync::{Arc, Mutex, PoisonError};

use perper::protocol;
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::{cancellation::Cancellation, encode, errors, fork::Owned, runtime};

/// Writes items as they come; the connection takes them in batches as large as they have become by then.
#[pyclass(frozen, module = "perper._native")]
pub(crate) struct Writer {
    inner: Owned<Inner>,
}

struct Inner {
    number: u64,
    writer: Arc<protocol::Writer>,
    /// The item that there was no room for, until somebody waits for the room.
    refused: Mutex<Option<(Option<i64>, Vec<u8>)>>,
}

impl Writer {
    pub(crate) fn new(number: u64, writer: Arc<protocol::Writer>) -> Self {
        Writer { inner: Owned::new(Inner { number, writer, refused: Mutex::default() }) }
    }

    pub(crate) fn take_refused(&self) -> PyResult<(u64, Option<i64>, Vec<u8>)> {
        let inner = self.inner.get()?;
        let refused = inner.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (key, value) = refused.ok_or_else(|| PyRuntimeError::new_err("no item waits for room"))?;
        Ok((inner.number, key, value))
    }
}

#[pymethods]
impl Writer {
    #[getter]
    fn number(&self) -> PyResult<u64> {
        Ok(self.inner.get()?.number)
    }

    /// Writes what a generator yielded: an item, a pair of a key and an item, or `keyed`. False when there is no room:
    /// then the item waits here, for `Port.submit_refused`.
    fn put(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mut value = Vec::with_capacity(128);
        let key = encode::encode_item(item, &mut value)?;
        self.write(py, key, value)
    }

    /// Writes an item at a key, or `None` for an automatic one; otherwise as `put`.
    fn put_at(&self, py: Python<'_>, key: Option<i64>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        let mut value = Vec::with_capacity(128);
        encode::encode(item, &mut value, "item")?;
        self.write(py, key, value)
    }

    /// As `put`, waiting for room without holding the interpreter. False when it was cancelled meanwhile.
    fn put_waiting(
        &self,
        py: Python<'_>,
        item: &Bound<'_, PyAny>,
        cancellation: &Cancellation,
    ) -> PyResult<bool> {
        if self.put(py, item)? {
            return Ok(true);
        }
        let (_, key, value) = self.take_refused()?;
        let writer = self.inner.get()?.writer.clone();
        let written = runtime::wait(py, Some(cancellation.token()?), async move {
            match key {
                Some(key) => writer.write_keyed(key, &value).await,
                None => writer.write(&value).await,
            }
        })?;
        match written {
            None => Ok(false),
            Some(written) => written.map(|()| true).map_err(|error| errors::raise(py, &error)),
        }
    }
}

impl Writer {
    fn write(&self, py: Python<'_>, key: Option<i64>, value: Vec<u8>) -> PyResult<bool> {
        let inner = self.inner.get()?;
        let written = inner.writer.try_write(key, &value).map_err(|error| errors::raise(py, &error))?;
        if !written {
            *inner.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, value));
        }
        Ok(written)
    }
}
