use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::{Reason, v1};
use perper_store::{Space, WriteBatch};
use prost::Message;

use super::record::{ContentsRecord, CreatedRecord, Part, key};
use super::sweeper::Sweeps;
use super::tombstones::Tombstones;
use crate::engine::embedded::changes::Changes;
use crate::engine::{Result, Timestamp};

/// Which objects a catalogue lists.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine::embedded) struct Kind {
    pub(in crate::engine::embedded) space: Space,
    /// The kind's name, in messages and their metadata.
    pub(in crate::engine::embedded) noun: &'static str,
    pub(in crate::engine::embedded) state_kind: v1::StateKind,
}

/// What an object keeps in memory of its contents, beside their count.
pub(in crate::engine::embedded) trait Contents: Default + Send + 'static {
    /// Notes in the batch and in the record what changed since the last time. `number` is that of the contents.
    fn save(&mut self, number: u64, record: &mut ContentsRecord, batch: &mut WriteBatch);

    /// What new contents begin with when `count` entries or elements are cleared.
    #[must_use]
    fn cleared(&self, count: u64) -> Self;
}

/// What an object is created with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine::embedded) struct Description {
    pub(in crate::engine::embedded) owner: Option<Arc<str>>,
    pub(in crate::engine::embedded) indexed_fields: Vec<String>,
    pub(in crate::engine::embedded) capability: Bytes,
}

impl Description {
    pub(in crate::engine::embedded) fn new(
        owner: Option<v1::Owner>,
        indexed_fields: Vec<String>,
        capability: &Bytes,
    ) -> Self {
        let owner = owner.filter(|owner| !owner.instance.is_empty()).map(|owner| Arc::from(owner.instance));
        // Copied, so that the receive buffer of a whole frame is not kept for a few bytes of it.
        Self { owner, indexed_fields, capability: Bytes::copy_from_slice(capability) }
    }

    /// Whether a repeated creation means the same object. Tokens are no content, as with executions.
    fn equals(&self, other: &Self) -> bool {
        self.owner == other.owner && self.indexed_fields == other.indexed_fields
    }
}

/// An object.
pub(in crate::engine::embedded) struct State<C> {
    pub(super) number: u64,
    pub(super) description: Description,
    /// The number of its contents.
    pub(in crate::engine::embedded) contents_number: u64,
    /// Entries or elements.
    pub(in crate::engine::embedded) count: u64,
    pub(in crate::engine::embedded) contents: C,
    /// The count as of what is durable; absent until the creation is.
    pub(super) shown: Option<u64>,
    /// The contents are to be saved when the run ends.
    dirty: bool,
}

impl<C: Contents> State<C> {
    pub(super) fn new(number: u64, description: Description) -> Self {
        Self {
            number,
            description,
            contents_number: number,
            count: 0,
            contents: C::default(),
            shown: None,
            dirty: false,
        }
    }
}

/// What becomes visible, or may go, when a change is durable.
pub(in crate::engine::embedded) enum Unpublished {
    /// An object has so many entries or elements.
    Counted { id: Arc<str>, number: u64, count: u64 },
    /// Contents belong to no object any more.
    Discarded(u64),
    /// Writes of the runs up to this one are in the store.
    Written(u64),
}

/// Objects of one kind, by id.
pub(in crate::engine::embedded) struct Catalogue<C> {
    kind: Kind,
    pub(super) states: BTreeMap<Arc<str>, State<C>>,
    owned: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    tombstones: Tombstones,
    /// The last number given to an object or to contents.
    pub(super) last_number: u64,
    /// Those that are to be saved when the run ends.
    dirty: Vec<Arc<str>>,
    sweeps: Sweeps,
}

impl<C: Contents> Catalogue<C> {
    pub(in crate::engine::embedded) fn new(kind: Kind, tombstone_ms: u64, sweeps: Sweeps) -> Self {
        Self {
            kind,
            states: BTreeMap::new(),
            owned: HashMap::new(),
            tombstones: Tombstones::new(tombstone_ms),
            last_number: 0,
            dirty: Vec::new(),
            sweeps,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Creates an object, or attaches to an equal one.
    pub(in crate::engine::embedded) fn create(
        &mut self,
        id: String,
        description: Description,
        changes: &mut Changes<Unpublished>,
    ) -> Result<()> {
        if let Some(existing) = self.states.get(id.as_str()) {
            return if existing.description.equals(&description) {
                Ok(())
            } else {
                Err(self.differs(&id, &existing.description))
            };
        }
        self.tombstones.remove(&id);
        self.last_number += 1;
        let number = self.last_number;
        let record = CreatedRecord {
            id: id.clone(),
            owner: description.owner.as_deref().unwrap_or_default().to_owned(),
            indexed_fields: description.indexed_fields.clone(),
            capability: description.capability.clone(),
        };
        changes.batch.put(self.kind.space, &key(Part::Created, number), record.encode_to_vec().into());
        let id: Arc<str> = Arc::from(id);
        self.insert(Arc::clone(&id), State::new(number, description));
        changes.unpublished.push(Unpublished::Counted { id, number, count: 0 });
        Ok(())
    }

    /// Enters an object into the indexes.
    pub(super) fn insert(&mut self, id: Arc<str>, state: State<C>) {
        if let Some(owner) = &state.description.owner {
            self.owned.entry(Arc::clone(owner)).or_default().insert(Arc::clone(&id));
        }
        self.states.insert(id, state);
    }

    fn differs(&self, id: &str, existing: &Description) -> v1::Error {
        let noun = self.kind.noun;
        let owner = match &existing.owner {
            Some(owner) => format!("owned by {owner:?}"),
            None => "detached".to_owned(),
        };
        Reason::AlreadyExists
            .error(format!(
                "{noun} {id:?} exists, {owner}, with the indexed fields {:?}: ask for the same, or take another id",
                existing.indexed_fields
            ))
            .with(noun, id)
    }

    pub(in crate::engine::embedded) fn get(&self, id: &str) -> Result<&State<C>> {
        self.states.get(id).ok_or_else(|| self.missing(id))
    }

    /// An object whose contents are about to change, so that they are saved when the run ends.
    pub(in crate::engine::embedded) fn change(&mut self, id: &str) -> Option<&mut State<C>> {
        if let Some((id, _)) = self.states.get_key_value(id).filter(|(_, state)| !state.dirty) {
            self.dirty.push(Arc::clone(id));
        }
        let state = self.states.get_mut(id)?;
        state.dirty = true;
        Some(state)
    }

    /// Gives an object new, empty contents.
    pub(in crate::engine::embedded) fn clear(&mut self, id: &str, changes: &mut Changes<Unpublished>) {
        self.last_number += 1;
        let number = self.last_number;
        let Some(state) = self.change(id) else { return };
        let former = std::mem::replace(&mut state.contents_number, number);
        state.contents = state.contents.cleared(state.count);
        state.count = 0;
        self.discard(former, changes);
    }

    /// Destroys an object. `with_owner` says that its owner goes; the object may be gone already.
    pub(in crate::engine::embedded) fn destroy(
        &mut self,
        id: &str,
        with_owner: bool,
        changes: &mut Changes<Unpublished>,
    ) -> Result<()> {
        let Some((id, state)) = self.states.remove_entry(id) else {
            return if self.tombstones.find(id).is_some() { Ok(()) } else { Err(self.missing(id)) };
        };
        if let Some(owner) = &state.description.owner
            && let Some(ids) = self.owned.get_mut(owner)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.owned.remove(owner);
            }
        }
        for part in [Part::Created, Part::Contents] {
            changes.batch.delete(self.kind.space, &key(part, state.number));
        }
        self.discard(state.contents_number, changes);
        let owner = state.description.owner.filter(|_| with_owner);
        self.tombstones.insert(id, owner, changes.now);
        Ok(())
    }

    fn discard(&self, contents: u64, changes: &mut Changes<Unpublished>) {
        changes.batch.put_slice(self.kind.space, &key(Part::Discarded, contents), &[]);
        changes.unpublished.push(Unpublished::Discarded(contents));
    }

    /// Hands over contents that are discarded durably.
    pub(super) fn sweep(&self, contents: u64) {
        self.sweeps.sweep(self.kind.space, contents);
    }

    /// Why an object that is not there cannot be had.
    fn missing(&self, id: &str) -> v1::Error {
        let noun = self.kind.noun;
        let error = match self.tombstones.find(id) {
            Some(grave) => match &grave.owner {
                Some(owner) => Reason::OwnerGone
                    .error(format!("{noun} {id:?} went with the instance {owner:?} that owned it"))
                    .with("owner", owner),
                None => Reason::NotFound.error(format!("{noun} {id:?} was destroyed")),
            },
            None => {
                Reason::NotFound.error(format!("there is no {noun} {id:?}: create it first, or check the id"))
            }
        };
        error.with(noun, id)
    }

    /// Drops tombstones whose time has come.
    pub(in crate::engine::embedded) fn bury(&mut self, now: Timestamp) {
        self.tombstones.expire(now);
    }

    /// Saves what changed in a run: once for each object, however many operations it had.
    pub(in crate::engine::embedded) fn save(&mut self, changes: &mut Changes<Unpublished>) {
        for id in std::mem::take(&mut self.dirty) {
            // It may have been destroyed, and even created anew, within the run.
            let Some(state) = self.states.get_mut(&id).filter(|state| state.dirty) else { continue };
            state.dirty = false;
            let (number, count) = (state.number, state.count);
            let mut record = ContentsRecord { number: state.contents_number, count, ..Default::default() };
            state.contents.save(state.contents_number, &mut record, &mut changes.batch);
            changes.batch.put(self.kind.space, &key(Part::Contents, number), record.encode_to_vec().into());
            changes.unpublished.push(Unpublished::Counted { id, number, count });
        }
    }

    /// Takes note of what is durable; what concerns the contents' own writes is left to the caller.
    pub(in crate::engine::embedded) fn publish(&mut self, unpublished: Unpublished) -> Option<u64> {
        match unpublished {
            Unpublished::Counted { id, number, count } => {
                if let Some(state) = self.states.get_mut(&id).filter(|state| state.number == number) {
                    state.shown = Some(count);
                }
                None
            }
            Unpublished::Discarded(contents) => {
                self.sweep(contents);
                None
            }
            Unpublished::Written(run) => Some(run),
        }
    }

    /// Objects in order of id, after `after`, as of what is durable.
    pub(in crate::engine::embedded) fn scan(&self, after: &str, limit: usize) -> Vec<v1::State> {
        let states = self.states.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let shown = states.filter_map(|(id, state)| {
            Some(v1::State {
                kind: self.kind.state_kind as i32,
                state: id.to_string(),
                owner: state
                    .description
                    .owner
                    .as_ref()
                    .map(|owner| v1::Owner { instance: owner.to_string() }),
                count: state.shown?,
            })
        });
        shown.take(limit).collect()
    }

    /// Ids of what an instance owns.
    pub(in crate::engine::embedded) fn owned_by(&self, instance: &str) -> Vec<Arc<str>> {
        self.owned.get(instance).into_iter().flatten().map(Arc::clone).collect()
    }
}
