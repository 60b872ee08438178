use pyo3::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::fork::Owned;

/// Tells threads that wait on behalf of an execution that it is over.
#[pyclass(frozen, module = "perper._native")]
pub(crate) struct Cancellation {
    token: Owned<CancellationToken>,
}

impl Cancellation {
    pub(crate) fn token(&self) -> PyResult<&CancellationToken> {
        self.token.get()
    }
}

#[pymethods]
impl Cancellation {
    #[new]
    fn new() -> Self {
        Cancellation { token: Owned::new(CancellationToken::new()) }
    }

    fn cancel(&self) -> PyResult<()> {
        self.token.get()?.cancel();
        Ok(())
    }

    #[getter]
    fn cancelled(&self) -> PyResult<bool> {
        Ok(self.token.get()?.is_cancelled())
    }
}
