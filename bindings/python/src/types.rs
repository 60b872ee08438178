//! Classes of Python that values are made of, looked up once.

use pyo3::{prelude::*, sync::PyOnceLock};

pub(crate) struct Types {
    pub(crate) enumeration: Py<PyAny>,
    pub(crate) datetime: Py<PyAny>,
    pub(crate) uuid: Py<PyAny>,
    pub(crate) decimal: Py<PyAny>,
    pub(crate) mapping: Py<PyAny>,
    /// References to anything, and the classes of those that have one, by the name of their type.
    pub(crate) reference: Py<PyAny>,
    pub(crate) references: Py<PyAny>,
    pub(crate) tagged: Py<PyAny>,
    pub(crate) entries: Py<PyAny>,
    pub(crate) elements: Py<PyAny>,
    pub(crate) keyed: Py<PyAny>,
    pub(crate) timestamp: Py<PyAny>,
}

impl Types {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&Types> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        TYPES.get_or_try_init(py, || {
            let class = |module: &str, name: &str| Ok::<_, PyErr>(py.import(module)?.getattr(name)?.unbind());
            Ok(Types {
                enumeration: class("enum", "Enum")?,
                datetime: class("datetime", "datetime")?,
                uuid: class("uuid", "UUID")?,
                decimal: class("decimal", "Decimal")?,
                mapping: class("collections.abc", "Mapping")?,
                reference: class("perper.model", "Reference")?,
                references: class("perper.model", "REFERENCES")?,
                tagged: class("perper.values", "Tagged")?,
                entries: class("perper.values", "Entries")?,
                elements: class("perper.values", "Elements")?,
                keyed: class("perper.values", "Keyed")?,
                timestamp: class("perper.values", "Timestamp")?,
            })
        })
    }
}
