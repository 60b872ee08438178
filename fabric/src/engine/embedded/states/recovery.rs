//! Reading a catalogue back from the store.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use perper_store::{Direction, Error, ErrorKind, Result, Space, Store};
use prost::Message;

use super::catalogue::{Catalogue, Contents, Description, State};
use super::record::{ContentsRecord, CreatedRecord, Part, read_key, start_range};

/// Chunks of contents as they stand in the store, by contents, with their own numbers.
type Chunks = HashMap<u64, Vec<(u64, Bytes)>>;

impl<C: Contents> Catalogue<C> {
    /// Fills an empty catalogue, without a look at the entries and elements themselves. `restore` makes of a record and
    /// of chunks what contents keep in memory.
    pub(in crate::engine::embedded) fn recover(
        &mut self,
        store: &dyn Store,
        restore: impl Fn(&ContentsRecord, Vec<(u64, Bytes)>) -> Result<C>,
    ) -> Result<()> {
        let space = self.kind().space;
        let mut states: HashMap<u64, (Arc<str>, State<C>)> = HashMap::new();
        let mut records: HashMap<u64, ContentsRecord> = HashMap::new();
        let mut chunks = Chunks::new();
        for entry in store.range(space, start_range(), Direction::Forward) {
            let (key, value) = entry?;
            let unreadable = |why: &str| corrupt(space, &key, why);
            let (part, number, chunk) = read_key(&key).ok_or_else(|| unreadable("has no such form"))?;
            self.last_number = self.last_number.max(number);
            match part {
                Part::Created => {
                    let record =
                        CreatedRecord::decode(value).map_err(|error| unreadable(&error.to_string()))?;
                    let owner = (!record.owner.is_empty()).then(|| Arc::from(record.owner));
                    let description = Description {
                        owner,
                        indexed_fields: record.indexed_fields,
                        capability: Bytes::copy_from_slice(&record.capability),
                    };
                    let mut state = State::new(number, description);
                    state.shown = Some(0);
                    states.insert(number, (Arc::from(record.id), state));
                }
                Part::Contents => {
                    let record =
                        ContentsRecord::decode(value).map_err(|error| unreadable(&error.to_string()))?;
                    self.last_number = self.last_number.max(record.number);
                    if !states.contains_key(&number) {
                        return Err(unreadable("belongs to nothing"));
                    }
                    records.insert(number, record);
                }
                Part::Discarded => self.sweep(number),
                Part::Chunk => {
                    chunks.entry(number).or_default().push((chunk.unwrap_or_default(), value));
                }
            }
        }
        for (number, (id, mut state)) in states {
            if let Some(record) = records.get(&number) {
                state.contents_number = record.number;
                state.count = record.count;
                state.shown = Some(record.count);
                // Chunks of other contents are what is left of discarded ones.
                state.contents = restore(record, chunks.remove(&record.number).unwrap_or_default())?;
            }
            self.insert(id, state);
        }
        Ok(())
    }
}

/// An error about an entry that cannot be what was written.
pub(in crate::engine::embedded) fn corrupt(space: Space, key: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the entry of {} at key {key:02x?} {why}", space.name()))
}
