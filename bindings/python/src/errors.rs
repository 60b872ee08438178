//! The one place where errors of the core become exceptions of Python. Their classes are in `perper/errors.py`.

use perper::{Error, ErrorKind};
use perper_values as values;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyType},
};

/// From the code of a kind to the class that stands for it.
fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        let classes = py.import("perper.errors")?.getattr("BY_CODE")?;
        Ok::<_, PyErr>(classes.cast_into::<PyDict>()?.unbind())
    })?;
    Ok(classes.bind(py))
}

/// The parts of an error, wherever they come from: an [`Error`], or a batch.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) code: u16,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// Type, message and stack trace of what a handler raised.
    pub(crate) failure: Option<(&'a str, &'a str, &'a str)>,
    pub(crate) metadata: Vec<(&'a str, &'a str)>,
}

/// The exception, not yet raised.
pub(crate) fn exception<'py>(py: Python<'py>, parts: &Parts<'_>) -> PyResult<Bound<'py, PyAny>> {
    let classes = classes(py)?;
    let class = match classes.get_item(parts.code)? {
        Some(class) => class,
        // A kind that this version of the Python sources does not list.
        None => classes
            .get_item(ErrorKind::Unknown.code())?
            .unwrap_or_else(|| py.get_type::<PyTypeError>().into_any()),
    };
    let metadata = PyDict::new(py);
    for (name, value) in &parts.metadata {
        metadata.set_item(name, value)?;
    }
    class.call1((parts.message, parts.reason, metadata, parts.failure))
}

/// An error of the core, to be raised.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let parts = Parts {
        code: error.code(),
        reason: error.reason(),
        message: error.message(),
        failure: error
            .failure()
            .map(|it| (it.type_name.as_str(), it.message.as_str(), it.stack_trace.as_str())),
        metadata: error.metadata().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    };
    exception(py, &parts).map_or_else(|error| error, PyErr::from_value)
}

/// An error made here.
pub(crate) fn new(py: Python<'_>, kind: ErrorKind, message: &str) -> PyErr {
    raise(py, &Error::new(kind, message))
}

/// The process was forked from the one that the object belongs to.
pub(crate) fn forked() -> PyErr {
    Python::attach(|py| {
        let class = py.import("perper.errors").and_then(|errors| errors.getattr("ForkedError"));
        let class = class.and_then(|class| Ok(class.cast_into::<PyType>()?));
        class.map_or_else(|error| error, |class| PyErr::from_type(class, ()))
    })
}

/// A value that cannot be encoded: the path and the reason.
pub(crate) fn not_encodable(error: &values::Error) -> PyErr {
    PyTypeError::new_err(error.to_string())
}

/// Bytes that are no value.
pub(crate) fn not_decodable(py: Python<'_>, error: values::Error) -> PyErr {
    let kind = error.kind().code();
    let path = error.path();
    let error = Error::from(error).with("kind", kind).with("path", path);
    raise(py, &error)
}
