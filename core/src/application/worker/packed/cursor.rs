use bytes::Bytes;

use crate::{Error, ErrorKind, Result};

/// Reads a batch in place: nothing is copied, values are slices of it.
pub(super) struct Cursor {
    rest: Bytes,
}

/// The length that stands for no value.
pub(super) const ABSENT: u32 = u32::MAX;

impl Cursor {
    pub(super) fn new(batch: Bytes) -> Self {
        Cursor { rest: batch }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next record, as a cursor of its own.
    pub(super) fn record(&mut self) -> Result<Cursor> {
        self.bytes().map(Cursor::new)
    }

    fn take(&mut self, length: usize) -> Result<Bytes> {
        if length > self.rest.len() {
            return Err(malformed(&format!("{length} bytes announced, {} left", self.rest.len())));
        }
        Ok(self.rest.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&bytes);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn bool(&mut self) -> Result<bool> {
        Ok(self.u8()? != 0)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| malformed("a text is not UTF-8"))
    }

    /// Text or none; an empty one is none.
    pub(super) fn optional_text(&mut self) -> Result<Option<String>> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    pub(super) fn list<T>(&mut self, element: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.u32()?;
        // An element takes at least a byte: a count cannot make us take memory that the batch does not warrant.
        let mut elements = Vec::with_capacity((count as usize).min(self.rest.len()));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(super) fn values(&mut self) -> Result<Vec<Bytes>> {
        self.list(Cursor::bytes)
    }
}

pub(super) fn malformed(what: &str) -> Error {
    let message = format!("a batch submitted to the worker is malformed: {what}; the binding is at fault");
    Error::new(ErrorKind::InvalidArgument, message)
}
