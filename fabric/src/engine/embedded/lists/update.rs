use bytes::Bytes;
use perper_proto::{Reason, v1};
use v1::response::Response;
use v1::update_list_request::Operation;

use super::Lists;
use super::directory::Directory;
use super::search::Sought;
use crate::engine::embedded::changes::Changes;
use crate::engine::embedded::states::{State, Unpublished, entry_key};
use crate::engine::{Outcome, Result};

impl Lists {
    pub(super) fn update(
        &mut self,
        request: v1::UpdateListRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = request.list;
        let Some(operation) = request.operation else {
            return Err(Reason::InvalidArgument
                .error(format!("the operation on list {id:?} does not say what to do"))
                .with("list", &id));
        };
        let state = self.catalogue.get(&id)?;
        let count = state.count;
        let mut response = v1::UpdateListResponse::default();
        match operation {
            Operation::Add(value) => {
                self.insert(&id, count, value, changes);
                response.index = Some(count);
            }
            Operation::InsertAt(insert) => {
                // One past the last is the end, where something may be put.
                if insert.index > count {
                    return Err(out_of_range(&id, insert.index, count));
                }
                self.insert(&id, insert.index, insert.value, changes);
            }
            Operation::Pop(_) => {
                if let Some(index) = count.checked_sub(1) {
                    response.value = Some(self.take(&id, index, changes)?);
                }
            }
            Operation::Dequeue(_) => {
                if count > 0 {
                    response.value = Some(self.take(&id, 0, changes)?);
                }
            }
            Operation::RemoveAt(index) => response.value = Some(self.take(&id, index, changes)?),
            Operation::GetAt(index) => response.value = Some(self.read(state, &id, index)?.1),
            Operation::SetAt(set) => {
                let key = self.key_at(state, &id, set.index)?;
                self.elements.write(key, Some(set.value), &mut changes.batch);
            }
            Operation::IndexOf(value) => response.index = self.index_of(state, &id, &Sought::new(value)?)?,
            Operation::Contains(value) => {
                response.found = self.index_of(state, &id, &Sought::new(value)?)?.is_some();
            }
            Operation::Remove(value) => {
                if let Some(index) = self.index_of(state, &id, &Sought::new(value)?)? {
                    self.take(&id, index, changes)?;
                    response.found = true;
                }
            }
            Operation::Count(_) => {}
            Operation::Clear(_) => {
                if count > 0 {
                    self.catalogue.clear(&id, changes);
                }
            }
        }
        response.count = self.catalogue.get(&id)?.count;
        Ok(Some(Response::UpdateList(response)))
    }

    /// The key of the element at an index.
    fn key_at(&self, state: &State<Directory>, id: &str, index: u64) -> Result<Bytes> {
        let number = state.contents.element(index, state.count);
        let number = number.ok_or_else(|| out_of_range(id, index, state.count))?;
        Ok(entry_key(state.contents_number, &number.to_be_bytes()))
    }

    /// The element at an index, with its key.
    fn read(&self, state: &State<Directory>, id: &str, index: u64) -> Result<(Bytes, Bytes)> {
        let key = self.key_at(state, id, index)?;
        let value = self.elements.get(&key)?.ok_or_else(|| lost(id, index))?;
        Ok((key, value))
    }

    fn insert(&mut self, id: &str, index: u64, value: Bytes, changes: &mut Changes<Unpublished>) {
        let Some(state) = self.catalogue.change(id) else { return };
        let number = state.contents.insert(index, state.count);
        state.count += 1;
        let key = entry_key(state.contents_number, &number.to_be_bytes());
        self.elements.write(key, Some(value), &mut changes.batch);
    }

    /// Removes the element at an index.
    fn take(&mut self, id: &str, index: u64, changes: &mut Changes<Unpublished>) -> Result<Bytes> {
        // Read first: nothing is changed if that fails.
        let (key, value) = self.read(self.catalogue.get(id)?, id, index)?;
        if let Some(state) = self.catalogue.change(id) {
            state.contents.remove(index, state.count);
            state.count -= 1;
        }
        self.elements.write(key, None, &mut changes.batch);
        Ok(value)
    }
}

fn out_of_range(id: &str, index: u64, length: u64) -> v1::Error {
    Reason::IndexOutOfRange
        .error(format!("index {index} is out of range: list {id:?} has {length} elements, counted from 0"))
        .with("list", id)
        .with("index", index)
        .with("length", length)
}

/// An element that the directory names is not in the store.
pub(super) fn lost(id: &str, index: u64) -> v1::Error {
    Reason::StorageFailed
        .error(format!(
            "element {index} of list {id:?} is missing in the storage: restore the data from a backup"
        ))
        .with("list", id)
        .with("index", index)
}
