//! What one change writes.

use std::ops::Range;

use bytes::Bytes;

use crate::{Error, ErrorKind, Result, Space};

/// The longest key. sled keeps up to 256 keys in a page, which must not outgrow what it writes with its log.
pub const MAX_KEY_BYTES: usize = 4 * 1024;

/// The largest value. Far above what the Fabric accepts; it keeps the lengths of all formats within 32 bits.
pub const MAX_VALUE_BYTES: usize = 1 << 30;

/// Values up to this size are copied into the batch, larger ones shared. Below it a copy is cheaper than counting
/// references, and does not keep a whole receive buffer alive for a few bytes of it.
const COPY_UP_TO: usize = 512;

/// Changes that are applied together or not at all, in the order in which they were added.
///
/// Keys and small values lie one after the other in one buffer, so adding an operation allocates nothing of its own.
#[derive(Debug, Default, Clone)]
pub struct WriteBatch {
    ops: Vec<Stored>,
    arena: Vec<u8>,
    shared: Vec<Bytes>,
    /// Bytes of keys and values, to account for the disk that it will take.
    size: usize,
    uses_reserve: bool,
    /// The first operation that breaks a limit. Kept so that adding stays free of errors; the commit refuses.
    invalid: Option<Error>,
}

#[derive(Debug, Clone)]
struct Stored {
    space: Space,
    key: Range<usize>,
    action: Action,
    new: bool,
}

#[derive(Debug, Clone)]
enum Action {
    PutCopied(Range<usize>),
    PutShared(usize),
    Delete,
    DeleteRange { end: Range<usize> },
}

/// One operation of a batch.
#[derive(Debug, Clone, Copy)]
pub enum Op<'a> {
    /// Sets the value of a key.
    Put {
        /// Where the key is.
        space: Space,
        /// The key.
        key: &'a [u8],
        /// The new value.
        value: Value<'a>,
        /// Whether the writer knows that the key is not there yet.
        new: bool,
    },
    /// Removes a key, if it is there.
    Delete {
        /// Where the key is.
        space: Space,
        /// The key.
        key: &'a [u8],
    },
    /// Removes every key from `start` up to and without `end`.
    DeleteRange {
        /// Where the keys are.
        space: Space,
        /// The first key.
        start: &'a [u8],
        /// The key after the last one.
        end: &'a [u8],
    },
}

/// A value in a batch.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A small one, inside the batch.
    Copied(&'a [u8]),
    /// A large one, shared with whoever made it.
    Shared(&'a Bytes),
}

impl<'a> Value<'a> {
    /// The bytes.
    pub fn as_slice(self) -> &'a [u8] {
        match self {
            Value::Copied(slice) => slice,
            Value::Shared(bytes) => bytes,
        }
    }

    /// The bytes to keep, copied only if they are not shared already.
    pub fn to_bytes(self) -> Bytes {
        match self {
            Value::Copied(slice) => Bytes::copy_from_slice(slice),
            Value::Shared(bytes) => bytes.clone(),
        }
    }
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for so many operations, and bytes of keys and small values.
    pub fn with_capacity(ops: usize, bytes: usize) -> Self {
        Self { ops: Vec::with_capacity(ops), arena: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Sets the value of a key. A small value is copied, a large one shared.
    pub fn put(&mut self, space: Space, key: &[u8], value: Bytes) {
        if value.len() <= COPY_UP_TO {
            return self.put_slice(space, key, &value);
        }
        self.size += value.len();
        if value.len() > MAX_VALUE_BYTES {
            self.refuse(space, "a value", value.len(), MAX_VALUE_BYTES);
        }
        let action = Action::PutShared(self.shared.len());
        self.shared.push(value);
        self.push(space, key, action);
    }

    /// Sets the value of a key that, as the caller knows for certain, is not there: neither stored nor in a batch on its
    /// way. If it is deleted again soon, the store on disk need never hear of it. Saying so wrongly may bring a
    /// deleted value back.
    pub fn put_new(&mut self, space: Space, key: &[u8], value: Bytes) {
        self.put(space, key, value);
        if let Some(op) = self.ops.last_mut() {
            op.new = true;
        }
    }

    /// Sets the value of a key, copying it.
    pub fn put_slice(&mut self, space: Space, key: &[u8], value: &[u8]) {
        if value.len() > COPY_UP_TO {
            return self.put(space, key, Bytes::copy_from_slice(value));
        }
        let value = self.copy(value);
        self.push(space, key, Action::PutCopied(value));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.push(space, key, Action::Delete);
    }

    /// Removes every key from `start` up to and without `end`. Costs about as much as removing each of them.
    pub fn delete_range(&mut self, space: Space, start: &[u8], end: &[u8]) {
        let end = self.copy(end);
        self.push(space, start, Action::DeleteRange { end });
    }

    /// Lets the batch use the disk space that is held back for writes that free some: deletes, completions,
    /// acknowledgements.
    pub fn use_reserve(&mut self) {
        self.uses_reserve = true;
    }

    /// Whether the batch may use the disk space that is held back.
    pub fn uses_reserve(&self) -> bool {
        self.uses_reserve
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The operations, in order.
    pub fn iter(&self) -> impl Iterator<Item = Op<'_>> {
        self.ops.iter().map(|op| {
            let (space, key) = (op.space, &self.arena[op.key.clone()]);
            match &op.action {
                Action::PutCopied(value) => {
                    Op::Put { space, key, value: Value::Copied(&self.arena[value.clone()]), new: op.new }
                }
                Action::PutShared(index) => {
                    Op::Put { space, key, value: Value::Shared(&self.shared[*index]), new: op.new }
                }
                Action::Delete => Op::Delete { space, key },
                Action::DeleteRange { end } => {
                    Op::DeleteRange { space, start: key, end: &self.arena[end.clone()] }
                }
            }
        })
    }

    /// Whether it may be committed at all.
    pub fn check(&self) -> Result<()> {
        self.invalid.clone().map_or(Ok(()), Err)
    }

    fn push(&mut self, space: Space, key: &[u8], action: Action) {
        if key.len() > MAX_KEY_BYTES {
            self.refuse(space, "a key", key.len(), MAX_KEY_BYTES);
        } else if key.is_empty() && !matches!(action, Action::DeleteRange { .. }) {
            self.invalid.get_or_insert_with(|| {
                Error::new(ErrorKind::InvalidBatch, format!("a key in {} is empty", space.name()))
            });
        }
        let key = self.copy(key);
        self.ops.push(Stored { space, key, action, new: false });
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.size += bytes.len();
        start..self.arena.len()
    }

    #[cold]
    fn refuse(&mut self, space: Space, what: &str, is: usize, limit: usize) {
        self.invalid.get_or_insert_with(|| {
            let message = format!("{what} in {} has {is} bytes, the limit is {limit}", space.name());
            Error::new(ErrorKind::InvalidBatch, message)
        });
    }
}
