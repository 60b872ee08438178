//! Reads a batch that the core drained, in place. The format is described in `perper::application::worker::packed`.

use pyo3::{exceptions::PyRuntimeError, prelude::*};

pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// The length that stands for no value.
const ABSENT: u32 = u32::MAX;

impl<'a> Cursor<'a> {
    pub(crate) fn new(batch: &'a [u8]) -> Self {
        Cursor { rest: batch }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next record, as a cursor of its own.
    pub(crate) fn record(&mut self) -> PyResult<Cursor<'a>> {
        self.bytes().map(Cursor::new)
    }

    fn take(&mut self, length: usize) -> PyResult<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else { return Err(malformed()) };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else { return Err(malformed()) };
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> PyResult<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self) -> PyResult<bool> {
        Ok(self.u8()? != 0)
    }

    pub(crate) fn u16(&mut self) -> PyResult<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> PyResult<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> PyResult<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> PyResult<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// An integer behind a flag that says whether it is there.
    pub(crate) fn optional_i64(&mut self) -> PyResult<Option<i64>> {
        let there = self.bool()?;
        let number = self.i64()?;
        Ok(there.then_some(number))
    }

    pub(crate) fn bytes(&mut self) -> PyResult<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(crate) fn optional_bytes(&mut self) -> PyResult<Option<&'a [u8]>> {
        match self.u32()? {
            ABSENT => Ok(None),
            length => self.take(length as usize).map(Some),
        }
    }

    pub(crate) fn text(&mut self) -> PyResult<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed())
    }

    pub(crate) fn list<T>(&mut self, element: impl Fn(&mut Self) -> PyResult<T>) -> PyResult<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| element(self)).collect()
    }
}

fn malformed() -> PyErr {
    PyRuntimeError::new_err("a batch of the core is malformed; the wheel is at fault")
}
