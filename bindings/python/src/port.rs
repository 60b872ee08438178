//! A connection's queues as one event loop of Python sees them, or one thread that waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perper::application::worker;
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyList, PyTuple},
};
use tokio::task::AbortHandle;

use crate::{
    alarm::Alarm, cancellation::Cancellation, errors, fork::Owned, operations, records, runtime,
    writer::Writer,
};

/// How many bytes one look at the queue takes, roughly. The loop has others to serve, too; and with all that waits, a
/// caller's calls would go around as one lump, each process idle while another has it. In parts, the answers to the first
/// are on their way while the rest is worked on.
const TAKEN_BYTES: usize = 24 << 10;

/// With so many bytes of requests and answers, a turn of the loop hands them over before it ends: likewise, those are on
/// their way while it goes on.
const HANDED_BYTES: usize = 12 << 10;

/// Takes requests and gives what has come, in batches.
#[pyclass(frozen, module = "perper._native")]
pub(crate) struct Port {
    inner: Owned<Inner>,
}

struct Inner {
    port: worker::Port,
    alarm: Arc<Alarm>,
    /// Requests that have not been handed over yet.
    batch: Mutex<Vec<u8>>,
    /// Watches the queue for the alarm, if a loop wants it.
    watch: Mutex<Option<AbortHandle>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.unwatch();
    }
}

impl Inner {
    fn batch(&self) -> MutexGuard<'_, Vec<u8>> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let batch = std::mem::take(&mut *self.batch());
        if batch.is_empty() {
            return Ok(());
        }
        let _entered = runtime::handle(py)?.enter();
        self.port.submit(batch).map_err(|error| errors::raise(py, &error))
    }

    fn unwatch(&self) {
        if let Some(watch) = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watch.abort();
        }
    }
}

impl Port {
    pub(crate) fn new(port: worker::Port) -> Self {
        let inner =
            Inner { port, alarm: Arc::new(Alarm::new()), batch: Mutex::default(), watch: Mutex::default() };
        Port { inner: Owned::new(inner) }
    }

    /// True when somebody has to `flush`, who does not know it yet.
    fn append(&self, py: Python<'_>, record: &[u8]) -> PyResult<bool> {
        let inner = self.inner.get()?;
        let (first, full) = {
            // Short, and no code of Python runs under it.
            let mut batch = inner.batch();
            let first = batch.is_empty();
            batch.extend_from_slice(record);
            (first, batch.len() >= HANDED_BYTES)
        };
        if full {
            inner.flush(py)?;
        }
        Ok(first && !full)
    }
}

#[pymethods]
impl Port {
    /// A port with queues of its own, on behalf of the same invocations.
    fn beside(&self) -> PyResult<Self> {
        Ok(Port::new(self.inner.get()?.port.beside()))
    }

    /// Begins to ring the alarm. Gives the file descriptor to watch, or -1 where there is none: then have a thread `listen`.
    fn watch(&self, py: Python<'_>) -> PyResult<i32> {
        let inner = self.inner.get()?;
        let (port, alarm) = (inner.port.clone(), inner.alarm.clone());
        let watch = runtime::handle(py)?.spawn(async move {
            loop {
                port.ready().await;
                alarm.ring();
                alarm.until_armed().await;
            }
        });
        *inner.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch.abort_handle());
        Ok(inner.alarm.descriptor().unwrap_or(-1))
    }

    /// Waits for the alarm. False when the port was closed.
    fn listen(&self, py: Python<'_>, cancellation: &Cancellation) -> PyResult<bool> {
        let alarm = self.inner.get()?.alarm.clone();
        Ok(runtime::wait(py, Some(cancellation.token()?), async move { alarm.heard().await })?.is_some())
    }

    /// Rings no more.
    fn close(&self) -> PyResult<()> {
        self.inner.get()?.unwatch();
        Ok(())
    }

    /// Adds a request to the batch. True when it is the first, so that `flush` is to be called soon.
    #[pyo3(signature = (operation, request, *fields))]
    fn submit(
        &self,
        py: Python<'_>,
        operation: u8,
        request: u64,
        fields: &Bound<'_, PyTuple>,
    ) -> PyResult<bool> {
        self.append(py, &operations::pack(operation, request, fields)?)
    }

    /// Adds the item that a writer has just had no room for, as a request that is answered once there is.
    fn submit_refused(&self, py: Python<'_>, request: u64, writer: &Writer) -> PyResult<bool> {
        let (number, key, value) = writer.take_refused()?;
        self.append(py, &operations::pack_item(request, number, key, &value))
    }

    /// Hands the batch over.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.inner.get()?.flush(py)
    }

    /// What has come, and whether more waits. When nothing does, the alarm is armed again.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, bool)> {
        let inner = self.inner.get()?;
        let _entered = runtime::handle(py)?.enter();
        inner.alarm.hush();
        let records = PyList::empty(py);
        let mut taken = 0;
        while taken < TAKEN_BYTES {
            let batch = inner.port.drain(TAKEN_BYTES - taken);
            if batch.is_empty() {
                inner.alarm.arm();
                return Ok((records, false));
            }
            taken += batch.len();
            records::read(py, &batch, &records)?;
        }
        Ok((records, true))
    }

    /// Hands over one request and waits for its answer, without holding the interpreter.
    #[pyo3(signature = (cancellation, operation, *fields))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        cancellation: Option<&Cancellation>,
        operation: u8,
        fields: &Bound<'_, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.wait_for(py, cancellation, operations::pack(operation, 1, fields)?)
    }

    /// Writes the item that a writer has just had no room for, and waits for that.
    fn ask_refused<'py>(
        &self,
        py: Python<'py>,
        cancellation: Option<&Cancellation>,
        writer: &Writer,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (number, key, value) = writer.take_refused()?;
        self.wait_for(py, cancellation, operations::pack_item(1, number, key, &value))
    }

    /// The writer that was opened here under a number.
    fn writer(&self, number: u64) -> PyResult<Writer> {
        let writer = self.inner.get()?.port.writer(number);
        let writer = writer.ok_or_else(|| PyValueError::new_err(format!("there is no writer {number}")))?;
        Ok(Writer::new(number, writer))
    }
}

impl Port {
    fn wait_for<'py>(
        &self,
        py: Python<'py>,
        cancellation: Option<&Cancellation>,
        batch: Vec<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inner = self.inner.get()?;
        {
            let _entered = runtime::handle(py)?.enter();
            inner.port.submit(batch).map_err(|error| errors::raise(py, &error))?;
        }
        let token = cancellation.map(Cancellation::token).transpose()?;
        let port = inner.port.clone();
        match runtime::wait(py, token, async move { port.ready().await })? {
            Some(()) => records::only_answer(py, &inner.port.drain(usize::MAX)),
            None => Err(errors::new(
                py,
                perper::ErrorKind::ExecutionCancelled,
                "the execution on whose behalf this thread waited was cancelled",
            )),
        }
    }
}
