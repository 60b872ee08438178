//! Values too large for a page, cut into chunks.
//!
//! Every stored value begins with a tag: [`WHOLE`] and the value, or [`CUT`] and the value's length, whose chunks lie
//! under keys of their own. All of it is part of the same batch.

use std::sync::atomic::{AtomicBool, Ordering};

use ::sled::{Db, IVec};
use bytes::{Bytes, BytesMut};

use super::{Changes, keys, sled_error};
use crate::{Error, ErrorKind, Result, Space};

/// The size of a chunk: 16 to a page, the page below a quarter of a segment.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

const WHOLE: u8 = 0;
const CUT: u8 = 1;

/// Which spaces hold values in chunks. In the others nobody need look for the chunks of what is overwritten.
pub(super) struct Chunks {
    present: [AtomicBool; Space::ALL.len()],
}

impl Chunks {
    /// Finds out where there are chunks.
    pub(super) fn find(db: &Db) -> Result<Self> {
        let present: [AtomicBool; Space::ALL.len()] = Default::default();
        for space in Space::ALL {
            if let Some(first) = db.scan_prefix(keys::chunks_of_space(space)).next() {
                first.map_err(|error| sled_error("opening the sled store", &error))?;
                present[space.index()].store(true, Ordering::Relaxed);
            }
        }
        Ok(Self { present })
    }

    /// Adds the change that stores a value.
    pub(super) fn put(&self, changes: &mut Changes, space: Space, key: &[u8], value: &[u8]) {
        let stored = if value.len() <= CHUNK_BYTES {
            tagged(WHOLE, value)
        } else {
            self.present[space.index()].store(true, Ordering::Relaxed);
            for (number, chunk) in (0..).zip(value.chunks(CHUNK_BYTES)) {
                changes.insert(keys::chunk(space, key, number), Some(IVec::from(chunk)));
            }
            tagged(CUT, &(value.len() as u64).to_be_bytes())
        };
        changes.insert(keys::value(space, key), Some(stored));
    }

    /// Adds the changes that remove the chunks which a key has so far, in the tree or in the changes before.
    pub(super) fn remove(&self, db: &Db, changes: &mut Changes, space: Space, key: &[u8]) -> Result<()> {
        if !self.present[space.index()].load(Ordering::Relaxed) {
            return Ok(());
        }
        let full = keys::value(space, key);
        let pending = match changes.get(&full) {
            Some(Some(stored)) => cut_length(stored),
            _ => None,
        };
        let stored = db.get(&full).map_err(|error| sled_error("reading from the sled store", &error))?;
        let length = pending.max(stored.as_ref().and_then(|stored| cut_length(stored)));
        for number in 0..length.unwrap_or(0).div_ceil(CHUNK_BYTES) {
            changes.insert(keys::chunk(space, key, number as u32), None);
        }
        Ok(())
    }
}

/// The value that `stored` stands for; none if it is being removed right now.
pub(super) fn read(db: &Db, space: Space, key: &[u8], stored: &IVec) -> Result<Option<Bytes>> {
    if let Some((&WHOLE, value)) = stored.split_first() {
        return Ok(Some(Bytes::copy_from_slice(value)));
    }
    let corrupt = || {
        let message =
            format!("the sled store is corrupt: a value in {} is neither whole nor cut", space.name());
        Error::new(ErrorKind::Corrupt, message)
    };
    let length = cut_length(stored).ok_or_else(corrupt)?;
    let mut value = BytesMut::with_capacity(length);
    for number in 0..length.div_ceil(CHUNK_BYTES) {
        let chunk = db.get(keys::chunk(space, key, number as u32));
        match chunk.map_err(|error| sled_error("reading from the sled store", &error))? {
            Some(chunk) => value.extend_from_slice(&chunk),
            None => break,
        }
    }
    if value.len() == length {
        return Ok(Some(value.freeze()));
    }
    // A reader may overtake a writer. Chunks missing from a value that is still the same are another matter.
    let again =
        db.get(keys::value(space, key)).map_err(|error| sled_error("reading from the sled store", &error))?;
    match again {
        None => Ok(None),
        Some(again) if again != *stored => read(db, space, key, &again),
        Some(_) => {
            let message = format!(
                "the sled store is corrupt: a value in {} has {} bytes of {length}",
                space.name(),
                value.len()
            );
            Err(Error::new(ErrorKind::Corrupt, message))
        }
    }
}

fn tagged(tag: u8, bytes: &[u8]) -> IVec {
    let mut stored = Vec::with_capacity(1 + bytes.len());
    stored.push(tag);
    stored.extend_from_slice(bytes);
    IVec::from(stored)
}

fn cut_length(stored: &[u8]) -> Option<usize> {
    let (&CUT, length) = stored.split_first()? else { return None };
    usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()
}
