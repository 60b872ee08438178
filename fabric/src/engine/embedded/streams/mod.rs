//! Streams: the shard, and what makes it visible.
//!
//! A batch costs one entry in the store, one in the tail cache and a few numbers; nothing is done for each item but to
//! check its framing. What the store's entries tell is not written a second time: where a stream is, its last batch
//! says.

mod batch;
mod cleanup;
mod keys;
mod lifecycle;
mod listeners;
mod parked;
mod read;
mod record;
mod recovery;
mod replay;
mod runs;
mod scan;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use perper_proto::{Reason, v1};
use perper_store::Store;

pub(super) use self::read::read_items;
use self::table::{Generator, Table};
use self::tail::TailCache;
use super::changes::Changes;
use super::shard::Shard;
use crate::engine::{Clock, Event, Identity, Outcome, SessionId, StreamRequest, Timestamp};

/// Bounds that the server's configuration sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLimits {
    /// Items that an ephemeral stream keeps while nobody listens.
    pub(super) unheard_items: u64,
    /// Bytes that it keeps.
    pub(super) unheard_bytes: u64,
    /// Bytes of one item.
    pub(super) value_bytes: u64,
    /// Bytes of recent batches in memory.
    pub(super) tail_cache_bytes: usize,
    /// How long it is remembered why a stream is gone, in milliseconds.
    pub(super) tombstone_ms: u64,
}

/// All streams.
pub(super) struct Streams {
    limits: StreamLimits,
    clock: Clock,
    /// For what is looked up in batches that are not in the tail cache: rare, and one entry at a time.
    store: Arc<dyn Store>,
    table: Table,
    tail: TailCache,
    /// Writers of which a batch was rejected.
    closed_writers: HashSet<(u64, SessionId, u64)>,
    /// Writes that wait for listeners to catch up.
    parked: HashSet<Identity>,
    /// What an instance owns.
    owned: HashMap<Arc<str>, BTreeSet<u64>>,
    owned_listeners: HashMap<Arc<str>, BTreeSet<(u64, Arc<str>)>>,
    /// Listeners that a session has: all unnamed ones, and the named ones that it is attached to.
    sessions: HashMap<SessionId, BTreeSet<(u64, Arc<str>)>>,
    /// Streams with acknowledgements to write, items to remove or writes to let in, at the end of the run.
    dirty: BTreeSet<u64>,
    /// Why streams are gone, for a while, oldest first.
    tombstones: HashMap<Arc<str>, Reason>,
    tombstone_times: VecDeque<(Timestamp, Arc<str>)>,
    /// Items appended since the boot, and their bytes.
    appended: (u64, u64),
}

/// What becomes visible when a change is durable.
pub(super) enum Unpublished {
    Created(u64),
    /// Items of the stream up to so many ever written, and the highest key among them.
    Written {
        number: u64,
        items: u64,
        last_key: i64,
    },
    Ended(u64),
}

impl Shard for Streams {
    type Request = StreamRequest;
    type Unpublished = Unpublished;

    const NUMBER: u8 = 2;

    fn apply(
        &mut self,
        request: StreamRequest,
        identity: Option<Identity>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        self.bury(changes.now);
        match request {
            StreamRequest::Create(request) => self.create(request, changes),
            StreamRequest::Start(request) => self.start(request, changes),
            StreamRequest::Write(request) => self.write(request, identity, changes),
            StreamRequest::Complete(request) => self.complete(request, changes),
            StreamRequest::Abandon(id, error) => self.abandon(&id, error, changes),
            StreamRequest::AttachListener(request) => self.attach(request, changes),
            StreamRequest::AcknowledgeItems { stream, listener, epoch, through } => {
                self.acknowledge(&stream, &listener, epoch, through)
            }
            StreamRequest::DetachListener { stream, listener, epoch } => {
                self.detach(&stream, &listener, epoch, changes)
            }
            StreamRequest::RemoveListener(request) => self.remove_named(&request, changes),
            StreamRequest::Get(request) => self.get(&request),
            StreamRequest::Destroy(request) => self.destroy(&request.stream, Reason::NotFound, changes),
            StreamRequest::DestroyOwned(id) => self.destroy(&id, Reason::OwnerGone, changes),
        }
    }

    fn settle(&mut self, changes: &mut Changes<Unpublished>) {
        while let Some(number) = self.dirty.pop_first() {
            self.write_acknowledgements(number, changes);
            self.clean(number, changes);
            self.resume(number, changes);
        }
    }

    fn publish(&mut self, unpublished: Vec<Unpublished>, events: &mut Vec<Event>) {
        let mut changed = Vec::with_capacity(unpublished.len());
        for change in unpublished {
            let number = match change {
                Unpublished::Created(number) => {
                    if let Some(slot) = self.table.get_mut(number) {
                        slot.committed = true;
                    }
                    number
                }
                Unpublished::Written { number, items, last_key } => {
                    if let Some(slot) = self.table.get_mut(number) {
                        slot.committed_items = slot.committed_items.max(items);
                        slot.committed_key = slot.committed_key.max(Some(last_key));
                    }
                    number
                }
                Unpublished::Ended(number) => {
                    if let Some(slot) = self.table.get_mut(number) {
                        slot.end_committed = true;
                    }
                    number
                }
            };
            changed.push(number);
        }
        changed.sort_unstable();
        changed.dedup();
        // What was kept only because it was not durable may go now.
        self.tail.shrink(&mut self.table);
        let ids = changed.into_iter().filter_map(|number| self.table.get(number));
        events.extend(ids.map(|slot| Event::StreamChanged(Arc::clone(&slot.id))));
    }
}

impl Streams {
    /// An empty shard.
    pub(super) fn new(limits: StreamLimits, clock: Clock, store: Arc<dyn Store>) -> Self {
        Self {
            limits,
            clock,
            store,
            table: Table::default(),
            tail: TailCache::new(limits.tail_cache_bytes),
            closed_writers: HashSet::new(),
            parked: HashSet::new(),
            owned: HashMap::new(),
            owned_listeners: HashMap::new(),
            sessions: HashMap::new(),
            dirty: BTreeSet::new(),
            tombstones: HashMap::new(),
            tombstone_times: VecDeque::new(),
            appended: (0, 0),
        }
    }

    /// Items appended since the boot, and their bytes.
    pub(super) fn appended(&self) -> (u64, u64) {
        self.appended
    }

    /// Lets the reservation in as the only writer, and tells it where the stream is.
    ///
    /// Not durable: after a restart no reservation stands until its session says that it still has it.
    pub(super) fn fence(&mut self, stream: &str, token: &[u8]) -> Option<v1::LinkedStream> {
        let slot = self.table.find_mut(stream)?;
        if slot.generator.as_ref().is_none_or(|generator| generator.token != token) {
            let token = bytes::Bytes::copy_from_slice(token);
            slot.generator = Some(Box::new(Generator { token, replay_through: slot.last_key }));
        }
        Some(v1::LinkedStream {
            stream: slot.id.to_string(),
            last_key: slot.last_key,
            items: slot.written.items,
            stride: slot.options.stride,
            first_key: slot.options.first_key,
        })
    }

    /// Why a stream that is not there cannot be had.
    fn missing(&self, id: &str) -> v1::Error {
        let message = match self.tombstones.get(id) {
            Some(Reason::OwnerGone) => format!("stream {id:?} went with the instance that owned it"),
            Some(_) => format!("stream {id:?} was destroyed"),
            None => format!("there is no stream {id:?}: it never existed, or was destroyed long ago"),
        };
        let reason = self.tombstones.get(id).copied().unwrap_or(Reason::NotFound);
        reason.error(message).with("stream", id)
    }

    /// Remembers for a while why a stream is gone.
    fn entomb(&mut self, id: &Arc<str>, reason: Reason, now: Timestamp) {
        if self.tombstones.insert(Arc::clone(id), reason).is_none() {
            self.tombstone_times.push_back((now.plus(self.limits.tombstone_ms), Arc::clone(id)));
        }
    }

    /// Drops tombstones whose time has come.
    fn bury(&mut self, now: Timestamp) {
        while self.tombstone_times.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, id)) = self.tombstone_times.pop_front() {
                self.tombstones.remove(&id);
            }
        }
    }
}

/// What to answer when the store cannot be read.
fn storage_failed(error: &perper_store::Error) -> v1::Error {
    Reason::StorageFailed.error(format!("items could not be read from the storage: {error}"))
}

fn remove_from<K: std::hash::Hash + Eq, V: Ord>(index: &mut HashMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
