use std::collections::HashMap;

use bytes::Bytes;
use perper_store::{Result, WriteBatch};
use prost::Message;

use super::KIND;
use super::chunk::{self, Chunk, ChunkRecord};
use crate::engine::embedded::states::{Contents, ContentsRecord, chunk_key, corrupt};

/// The number of the first element of an empty list.
const MIDDLE: u64 = 1 << 63;

/// Elements at the ends have numbers from here on, which ascend along the list, so that they stay few long runs. Below
/// are those of elements put between others.
const ENDS: u64 = 1 << 62;

/// The order of a list's elements, which are known by number.
///
/// It takes memory for each run of consecutive numbers, not for each element: a list that is only added to and taken
/// from at its ends is a single run, and each insertion or removal in between adds at most two.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    /// In order. Found by adding up lengths from the nearer end, which is quick for the few there are: one for every 64
    /// insertions in between, or so.
    chunks: Vec<Chunk>,
    last_chunk: u64,
    /// The last number given to an element that was put between others.
    last_between: u64,
    /// Chunks that are to be removed from the store.
    removed: Vec<u64>,
    /// The position of the first element. Positions count up along the list, and are not moved by what happens at its
    /// ends, so a page token can name one.
    pub(super) origin: i64,
}

impl Directory {
    /// Makes it of what the store holds.
    pub(super) fn restore(record: &ContentsRecord, chunks: Vec<(u64, Bytes)>) -> Result<Self> {
        let mut directory = Self { origin: record.origin, ..Self::default() };
        let mut records: HashMap<u64, ChunkRecord> = HashMap::with_capacity(chunks.len());
        for (number, value) in chunks {
            let unreadable = |why: &str| corrupt(KIND.space, &chunk_key(record.number, number), why);
            records.insert(number, chunk::decode(value, unreadable)?);
            directory.last_chunk = directory.last_chunk.max(number);
        }
        let (mut next, mut length) = (record.first_chunk, 0u64);
        while next != 0 {
            let unreadable = |why: &str| corrupt(KIND.space, &chunk_key(record.number, next), why);
            let found = records.remove(&next).ok_or_else(|| unreadable("is missing, or comes twice"))?;
            let chunk = Chunk::restore(next, &found).ok_or_else(|| unreadable("holds no valid runs"))?;
            directory.last_between =
                directory.last_between.max(chunk.largest_below(ENDS).unwrap_or_default());
            length = length.saturating_add(chunk.length);
            directory.chunks.push(chunk);
            next = found.next;
        }
        if length != record.count {
            let first = chunk_key(record.number, record.first_chunk);
            return Err(corrupt(
                KIND.space,
                &first,
                &format!("begins a list of {length} elements, where there should be {}", record.count),
            ));
        }
        Ok(directory)
    }

    /// Which chunk an index falls into, and where in it.
    fn locate(&self, index: u64, length: u64) -> Option<(usize, u64)> {
        if index >= length / 2 {
            let mut end = length;
            for (place, chunk) in self.chunks.iter().enumerate().rev() {
                let start = end.checked_sub(chunk.length)?;
                if index >= start {
                    return (index < end).then(|| (place, index - start));
                }
                end = start;
            }
            return None;
        }
        let mut start = 0;
        for (place, chunk) in self.chunks.iter().enumerate() {
            if index < start + chunk.length {
                return Some((place, index - start));
            }
            start += chunk.length;
        }
        None
    }

    /// The number of the element at an index of a list that is so long.
    pub(super) fn element(&self, index: u64, length: u64) -> Option<u64> {
        let (place, offset) = self.locate(index, length)?;
        self.chunks[place].element(offset)
    }

    /// The index of the element with a number.
    pub(super) fn find(&self, number: u64) -> Option<u64> {
        let mut start = 0;
        for chunk in &self.chunks {
            if let Some(offset) = chunk.find(number) {
                return Some(start + offset);
            }
            start += chunk.length;
        }
        None
    }

    /// The numbers of elements from an index on.
    pub(super) fn elements(&self, index: u64, length: u64) -> impl Iterator<Item = u64> {
        let (place, offset) = self.locate(index, length).unwrap_or((self.chunks.len(), 0));
        self.chunks[place..]
            .iter()
            .enumerate()
            .flat_map(move |(behind, chunk)| chunk.elements(if behind == 0 { offset } else { 0 }))
    }

    /// Makes a place before the element at an index, or at the end; the number of the new element.
    pub(super) fn insert(&mut self, index: u64, length: u64) -> u64 {
        if self.chunks.is_empty() {
            let chunk = self.new_chunk();
            self.chunks.push(chunk);
        }
        let end = self.chunks.len() - 1;
        let (number, place, offset) = if index >= length {
            let last = self.chunks[end].last();
            let number = match last {
                None => Some(MIDDLE),
                Some(last) => last.checked_add(1).filter(|_| last >= ENDS),
            };
            (number, end, self.chunks[end].length)
        } else if index == 0 {
            self.origin -= 1;
            (
                self.chunks[0]
                    .first()
                    .and_then(|first| first.checked_sub(1))
                    .filter(|number| *number >= ENDS),
                0,
                0,
            )
        } else {
            let (place, offset) = self.locate(index, length).unwrap_or((end, self.chunks[end].length));
            (None, place, offset)
        };
        let number = number.unwrap_or_else(|| {
            self.last_between += 1;
            self.last_between
        });
        self.chunks[place].insert(offset, number);
        if self.chunks[place].is_full() {
            let chunk = self.new_chunk();
            let behind = self.chunks[place].split(chunk.number);
            self.chunks.insert(place + 1, behind);
        }
        number
    }

    fn new_chunk(&mut self) -> Chunk {
        self.last_chunk += 1;
        Chunk::new(self.last_chunk)
    }

    /// Takes out the element at an index; its number.
    pub(super) fn remove(&mut self, index: u64, length: u64) -> Option<u64> {
        let (place, offset) = self.locate(index, length)?;
        let number = self.chunks[place].remove(offset)?;
        if index == 0 {
            self.origin += 1;
        }
        if self.chunks[place].length == 0 {
            self.remove_chunk(place);
        } else if self.chunks.get(place + 1).is_some_and(|behind| self.chunks[place].merges_with(behind)) {
            let behind = self.remove_chunk(place + 1);
            self.chunks[place].absorb(behind);
        }
        Some(number)
    }

    fn remove_chunk(&mut self, place: usize) -> Chunk {
        let chunk = self.chunks.remove(place);
        self.removed.push(chunk.number);
        // The chunk before it now leads to the one behind it.
        if let Some(before) = place.checked_sub(1) {
            self.chunks[before].dirty = true;
        }
        chunk
    }

    /// Chunks, for tests of what a change costs.
    #[cfg(test)]
    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}

impl Contents for Directory {
    fn save(&mut self, number: u64, record: &mut ContentsRecord, batch: &mut WriteBatch) {
        for chunk in self.removed.drain(..) {
            batch.delete(KIND.space, &chunk_key(number, chunk));
        }
        for place in 0..self.chunks.len() {
            if self.chunks[place].dirty {
                let next = self.chunks.get(place + 1).map_or(0, |behind| behind.number);
                let chunk = &mut self.chunks[place];
                chunk.dirty = false;
                let value = Bytes::from(chunk.record(next).encode_to_vec());
                batch.put(KIND.space, &chunk_key(number, chunk.number), value);
            }
        }
        record.first_chunk = self.chunks.first().map_or(0, |first| first.number);
        record.origin = self.origin;
    }

    fn cleared(&self, count: u64) -> Self {
        // As if all had been taken from the front.
        let origin = self.origin.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        Self { origin, ..Self::default() }
    }
}
