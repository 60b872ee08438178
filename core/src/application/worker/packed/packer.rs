use bytes::Bytes;

use super::cursor::ABSENT;
use crate::Error;

/// Writes records one behind the other.
#[derive(Default)]
pub(super) struct Packer {
    out: Vec<u8>,
}

impl Packer {
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// A record: its length first.
    pub(super) fn record(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.u32(0);
        write(self);
        let length = u32::try_from(self.out.len() - start - 4).unwrap_or(u32::MAX);
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A count or a length; nothing here comes near 4 GiB, since messages on the wire do not.
    pub(super) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(ABSENT - 1));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn optional(&mut self, bytes: Option<&Bytes>) {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.u32(ABSENT),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn values(&mut self, values: &[Bytes]) {
        self.count(values.len());
        values.iter().for_each(|value| self.bytes(value));
    }

    pub(super) fn error(&mut self, error: &Error) {
        self.u16(error.code());
        self.text(error.reason());
        self.text(error.message());
        let failure = error.failure();
        self.bool(failure.is_some());
        if let Some(failure) = failure {
            self.text(&failure.type_name);
            self.text(&failure.message);
            self.text(&failure.stack_trace);
        }
        self.count(error.metadata().len());
        for (name, value) in error.metadata() {
            self.text(name);
            self.text(value);
        }
    }
}
