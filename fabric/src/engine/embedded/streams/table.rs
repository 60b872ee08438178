use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;

use super::batch::Batch;
use super::parked::Parked;
use super::runs::Runs;
use crate::engine::SessionId;

/// Items, and bytes of their values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Totals {
    pub(super) items: u64,
    pub(super) bytes: u64,
}

impl Totals {
    pub(super) fn plus(self, items: u64, bytes: usize) -> Self {
        Self { items: self.items + items, bytes: self.bytes + bytes as u64 }
    }
}

/// A stream. What few streams have is boxed, since there may be hundreds of thousands.
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) id: Arc<str>,
    pub(super) options: v1::StreamOptions,
    pub(super) owner: Option<Arc<str>>,
    pub(super) declared: bool,
    pub(super) linked_execution: Option<Arc<str>>,
    pub(super) capability: Bytes,
    /// Its creation is durable.
    pub(super) committed: bool,
    /// Who may write to a linked stream.
    pub(super) generator: Option<Box<Generator>>,
    /// It has had a listener.
    pub(super) listened: bool,
    pub(super) end: Option<Box<v1::StreamEnd>>,
    /// The end is durable.
    pub(super) end_committed: bool,

    /// The highest key.
    pub(super) last_key: Option<i64>,
    /// Written ever.
    pub(super) written: Totals,
    /// So many of the items written are durable, in the order in which they were written; readers see no others.
    pub(super) committed_items: u64,
    /// The highest durable key.
    pub(super) committed_key: Option<i64>,
    /// Batches that end at or below this key are gone.
    pub(super) removed_through: Option<i64>,
    /// What is kept begins here. Unknown after clean-up of batches that are not in the tail, until someone asks.
    pub(super) head: Option<Head>,
    /// Which places of a packed stream are written.
    pub(super) packed: Option<Box<Packed>>,

    /// Recent batches by last key: all that end above `evicted_through`, and everything not yet durable.
    pub(super) tail: BTreeMap<i64, Batch>,
    pub(super) evicted_through: Option<i64>,

    pub(super) listeners: BTreeMap<Arc<str>, Listener>,
    /// Writes that wait for listeners to catch up, in order.
    pub(super) parked: VecDeque<Parked>,
}

/// Where the items that are kept begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) first_key: Option<i64>,
    /// What was removed before it.
    pub(super) removed: Totals,
}

/// The generator that a linked stream listens to.
pub(super) struct Generator {
    pub(super) token: Bytes,
    /// Keys up to this one were written before the generator got its reservation, so it may write them again.
    pub(super) replay_through: Option<i64>,
}

/// The layout of a packed stream.
pub(super) struct Packed {
    pub(super) first_key: i64,
    pub(super) stride: u64,
    pub(super) runs: Runs,
}

impl Packed {
    pub(super) fn place(&self, key: i64) -> Option<u64> {
        let distance = u64::try_from(i128::from(key) - i128::from(self.first_key)).ok()?;
        distance.is_multiple_of(self.stride).then_some(distance / self.stride)
    }

    /// The last place at or below a key; none if the key is before the first.
    pub(super) fn place_through(&self, key: i64) -> Option<u64> {
        let distance = u64::try_from(i128::from(key) - i128::from(self.first_key)).ok()?;
        Some(distance / self.stride)
    }

    pub(super) fn key(&self, place: u64) -> Option<i64> {
        let distance = i128::from(place) * i128::from(self.stride);
        i64::try_from(i128::from(self.first_key) + distance).ok()
    }
}

/// A listener.
pub(super) struct Listener {
    pub(super) named: bool,
    pub(super) owner: Option<Arc<str>>,
    /// Who has it. An unnamed one goes with this session.
    pub(super) session: Option<SessionId>,
    /// The session is attached to it.
    pub(super) attached: bool,
    pub(super) epoch: u64,
    /// Everything through this key is processed, or was not asked for.
    pub(super) acknowledged: Option<i64>,
    /// How many of the stream's items those are, once somebody asked.
    pub(super) position: Option<u64>,
    /// The acknowledgement is to be written.
    pub(super) dirty: bool,
}

impl Slot {
    pub(super) fn new(number: u64, request: v1::CreateStreamRequest) -> Self {
        let mut slot = Self {
            number,
            id: Arc::from(request.stream),
            options: v1::StreamOptions::default(),
            owner: request
                .owner
                .filter(|owner| !owner.instance.is_empty())
                .map(|owner| Arc::from(owner.instance)),
            declared: request.declared,
            linked_execution: None,
            capability: Bytes::copy_from_slice(&request.capability),
            committed: false,
            generator: None,
            listened: false,
            end: None,
            end_committed: false,
            last_key: None,
            written: Totals::default(),
            committed_items: 0,
            committed_key: None,
            removed_through: None,
            head: Some(Head { first_key: None, removed: Totals::default() }),
            packed: None,
            tail: BTreeMap::new(),
            evicted_through: None,
            listeners: BTreeMap::new(),
            parked: VecDeque::new(),
        };
        slot.set_options(request.options.unwrap_or_default(), &request.linked_execution);
        slot
    }

    pub(super) fn set_options(&mut self, options: v1::StreamOptions, linked_execution: &str) {
        self.packed = (options.stride > 0).then(|| {
            let (first_key, stride) = (options.first_key, options.stride);
            Box::new(Packed { first_key, stride, runs: Runs::default() })
        });
        self.options = options;
        self.linked_execution = (!linked_execution.is_empty()).then(|| Arc::from(linked_execution));
    }

    /// The request that would create the stream as it is, for its record.
    pub(super) fn to_request(&self) -> v1::CreateStreamRequest {
        v1::CreateStreamRequest {
            stream: self.id.to_string(),
            options: Some(self.options.clone()),
            owner: self.owner.as_ref().map(|owner| v1::Owner { instance: owner.to_string() }),
            declared: self.declared,
            linked_execution: self.linked_execution.as_deref().unwrap_or_default().to_owned(),
            capability: self.capability.clone(),
            identity: None,
        }
    }

    /// The distance of even keys.
    pub(super) fn step(&self) -> u64 {
        self.options.stride.max(1)
    }

    /// The key after which a packed stream that has not ended cannot be read yet; of others, the last key.
    pub(super) fn readable_through(&self) -> Option<i64> {
        match &self.packed {
            Some(packed) if self.end.is_none() => packed
                .runs
                .first_gap()
                .checked_sub(1)
                .and_then(|place| packed.key(place))
                .min(self.committed_key),
            _ => self.committed_key,
        }
    }
}

/// Streams by number and by id.
#[derive(Default)]
pub(super) struct Table {
    // Boxed, so that a table that grows moves pointers and keeps no room for streams that are not there.
    slots: HashMap<u64, Box<Slot>>,
    numbers: HashMap<Arc<str>, u64>,
    /// For scans, which are in order of id.
    ids: BTreeSet<Arc<str>>,
    last: u64,
}

impl Table {
    /// The number for the next stream.
    pub(super) fn next_number(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn number_of(&self, id: &str) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Slot> {
        self.slots.get(&number).map(|slot| &**slot)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&number).map(|slot| &mut **slot)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Slot> {
        self.get(self.number_of(id)?)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Slot> {
        self.get_mut(self.number_of(id)?)
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        self.last = self.last.max(slot.number);
        self.numbers.insert(Arc::clone(&slot.id), slot.number);
        self.ids.insert(Arc::clone(&slot.id));
        self.slots.insert(slot.number, Box::new(slot));
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Slot> {
        let slot = self.slots.remove(&number)?;
        self.numbers.remove(&slot.id);
        self.ids.remove(&slot.id);
        Some(*slot)
    }

    /// Numbers in order of id, from `from` on.
    pub(super) fn numbers_from(&self, from: &str) -> impl Iterator<Item = u64> {
        let from = (Bound::Included(from), Bound::Unbounded);
        self.ids.range::<str, _>(from).filter_map(|id| self.number_of(id))
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.slots.keys().copied()
    }
}
