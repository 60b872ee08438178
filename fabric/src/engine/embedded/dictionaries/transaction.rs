use std::collections::BTreeMap;

use bytes::Bytes;
use perper_proto::Reason;
use perper_proto::v1::dictionary_operation::Operation;
use perper_proto::v1::{self, DictionaryResult};
use perper_values as values;

use super::entry;
use crate::engine::Result;
use crate::engine::embedded::states::{Overlay, entry_key};

/// The operations of one request: each sees those before it, and nothing is changed before all went well.
pub(super) struct Transaction<'a> {
    entries: &'a Overlay,
    contents: u64,
    staged: Staged,
}

/// What the operations so far change.
pub(super) struct Staged {
    /// Everything from before the request is gone.
    pub(super) cleared: bool,
    pub(super) count: u64,
    /// The new entries by the ordered form of their keys; absent ones are removed.
    pub(super) entries: BTreeMap<Vec<u8>, Option<Bytes>>,
}

/// How an operation went.
pub(super) enum Step {
    Done(DictionaryResult),
    /// Its condition does not hold.
    Failed,
}

impl<'a> Transaction<'a> {
    /// On contents with so many entries.
    pub(super) fn new(entries: &'a Overlay, contents: u64, count: u64) -> Self {
        Self { entries, contents, staged: Staged { cleared: false, count, entries: BTreeMap::new() } }
    }

    pub(super) fn finish(self) -> Staged {
        self.staged
    }

    pub(super) fn carry_out(&mut self, operation: Operation) -> Result<Step> {
        match operation {
            Operation::Get(get) => {
                let former = self.find(&entry::ordered(&get.key)?)?;
                done(former, false)
            }
            Operation::Contains(get) => {
                let found = self.find(&entry::ordered(&get.key)?)?.is_some();
                done(None, found)
            }
            Operation::Set(set) => {
                let key = entry::ordered(&set.key)?;
                let former = self.find(&key)?;
                self.put(key, former.is_some(), &set);
                done(None, true)
            }
            Operation::SetIfAbsent(set) => {
                let key = entry::ordered(&set.key)?;
                if self.find(&key)?.is_some() {
                    return Ok(Step::Failed);
                }
                self.put(key, false, &set);
                done(None, true)
            }
            Operation::GetAndReplace(set) => {
                let key = entry::ordered(&set.key)?;
                let Some(former) = self.find(&key)? else { return Ok(Step::Failed) };
                self.put(key, true, &set);
                done(Some(former), true)
            }
            Operation::ReplaceIfEqual(replace) => {
                let key = entry::ordered(&replace.key)?;
                if !equal(self.find(&key)?, &replace.expected)? {
                    return Ok(Step::Failed);
                }
                let v1::dictionary_operation::ReplaceIfEqual { key: original, value, .. } = replace;
                self.put(key, true, &v1::dictionary_operation::Set { key: original, value });
                done(None, true)
            }
            Operation::GetAndRemove(get) => {
                let key = entry::ordered(&get.key)?;
                let former = self.find(&key)?;
                let found = former.is_some();
                if found {
                    self.remove(key);
                }
                done(former, found)
            }
            Operation::Remove(get) => {
                let key = entry::ordered(&get.key)?;
                let found = self.find(&key)?.is_some();
                if found {
                    self.remove(key);
                }
                done(None, found)
            }
            Operation::RemoveIfEqual(remove) => {
                let key = entry::ordered(&remove.key)?;
                if !equal(self.find(&key)?, &remove.expected)? {
                    return Ok(Step::Failed);
                }
                self.remove(key);
                done(None, true)
            }
            Operation::Count(_) => {
                Ok(Step::Done(DictionaryResult { count: self.staged.count, ..Default::default() }))
            }
            Operation::Clear(_) => {
                self.staged.cleared = true;
                self.staged.count = 0;
                self.staged.entries.clear();
                done(None, false)
            }
        }
    }

    fn find(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let packed = match self.staged.entries.get(key) {
            Some(staged) => staged.clone(),
            None if self.staged.cleared || self.staged.count == 0 && self.staged.entries.is_empty() => None,
            None => self.entries.get(&entry_key(self.contents, key))?,
        };
        packed.map(entry::value).transpose()
    }

    fn put(&mut self, key: Vec<u8>, replaces: bool, set: &v1::dictionary_operation::Set) {
        if !replaces {
            self.staged.count += 1;
        }
        self.staged.entries.insert(key, Some(entry::pack(&set.key, &set.value)));
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.staged.count = self.staged.count.saturating_sub(1);
        self.staged.entries.insert(key, None);
    }
}

fn done(value: Option<Bytes>, applied: bool) -> Result<Step> {
    Ok(Step::Done(DictionaryResult { value, applied, count: 0 }))
}

/// Whether there is a value and it equals the one expected.
fn equal(found: Option<Bytes>, expected: &Bytes) -> Result<bool> {
    let Some(found) = found else { return Ok(false) };
    if found == *expected {
        return Ok(true);
    }
    values::equal(&found, expected).map_err(|error| {
        let error = error.at_root("expected");
        Reason::InvalidValue
            .error(error.to_string())
            .with("path", error.path())
            .with("kind", error.kind().code())
    })
}
