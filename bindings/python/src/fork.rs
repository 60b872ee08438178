//! What a forked child inherits and must not touch.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

/// Counts the forks that led to this process since the module was loaded.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Called in a forked child, before anything else of ours runs there.
pub(crate) fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Something that belongs to the process that made it. A child of that process gets an error in its place, and never
/// drops it: the threads that it speaks with do not exist there, and a lock that one of them held stays locked.
pub(crate) struct Owned<T> {
    generation: u64,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Owned { generation: generation(), value: Some(value) }
    }

    pub(crate) fn get(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if self.generation == generation() => Ok(value),
            _ => Err(crate::errors::forked()),
        }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}
