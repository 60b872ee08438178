use std::sync::{Mutex, PoisonError};

use perper::embedded;
use pyo3::prelude::*;

use crate::{errors, fork::Owned, runtime};

/// A Fabric in this process.
#[pyclass(frozen, module = "perper._native")]
pub(crate) struct Embedded {
    endpoint: String,
    fabric: Owned<Mutex<Option<embedded::Embedded>>>,
}

#[pymethods]
impl Embedded {
    /// Starts one that keeps everything in a folder, or in memory.
    #[new]
    #[pyo3(signature = (folder=None))]
    fn new(py: Python<'_>, folder: Option<String>) -> PyResult<Self> {
        let started = runtime::wait(py, None, async move {
            match folder {
                Some(folder) => embedded::Embedded::durable(folder).await,
                None => embedded::Embedded::temporary().await,
            }
        })?;
        let fabric = match started {
            Some(started) => started.map_err(|error| errors::raise(py, &error))?,
            None => {
                return Err(errors::new(py, perper::ErrorKind::Cancelled, "the Fabric was not waited for"));
            }
        };
        Ok(Embedded { endpoint: fabric.endpoint(), fabric: Owned::new(Mutex::new(Some(fabric))) })
    }

    #[getter]
    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends it. Doing so twice is harmless.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let fabric = self.fabric.get()?.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(fabric) = fabric else { return Ok(()) };
        match runtime::wait(py, None, async move { fabric.shutdown().await })? {
            Some(Err(error)) => Err(errors::raise(py, &error)),
            _ => Ok(()),
        }
    }
}
