//! Reading streams back from the store.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use perper_store::{Direction, Error, ErrorKind, KeyRange, Result, Space, Store, WriteBatch};
use prost::Message;

use super::Streams;
use super::batch::Batch;
use super::cleanup::head_in_memory;
use super::record::{
    EndRecord, ListenerRecord, MarkRecord, Part, StreamRecord, bounds, listener_key, read_closed_writer,
    read_item_key, read_key, read_listener_key,
};
use super::table::{Head, Listener, Slot};
use crate::engine::{Event, SessionId};

impl Streams {
    /// Fills an empty shard from the store, looking at two batches of each stream and no more, unless a packed stream
    /// has gaps. `sessions` are those on record.
    ///
    /// The write that it answers removes unnamed listeners whose session is gone; it must be committed.
    pub(in crate::engine::embedded) fn recover(
        &mut self,
        store: &dyn Store,
        sessions: &HashSet<SessionId>,
    ) -> Result<WriteBatch> {
        let mut slot: Option<Slot> = None;
        for entry in store.range(Space::Streams, KeyRange::ALL, Direction::Forward) {
            let (key, value) = entry?;
            let (number, part, rest) = read_key(&key).ok_or_else(|| corrupt(&key, "has no such form"))?;
            if part == Part::Created {
                if let Some(slot) = slot.take() {
                    self.restore(slot, store)?;
                }
                let record = StreamRecord::decode(value).ok().and_then(|record| record.request);
                let request = record.ok_or_else(|| corrupt(&key, "cannot be read"))?;
                let mut created = Slot::new(number, request);
                created.committed = true;
                slot = Some(created);
                continue;
            }
            let slot = slot.as_mut().filter(|slot| slot.number == number);
            let slot = slot.ok_or_else(|| corrupt(&key, "belongs to no stream"))?;
            let read = match part {
                Part::ClosedWriter => read_closed_writer(rest).map(|(session, writer)| {
                    self.closed_writers.insert((number, session, writer));
                }),
                _ => read_part(slot, part, value),
            };
            read.ok_or_else(|| corrupt(&key, "cannot be read"))?;
        }
        if let Some(slot) = slot {
            self.restore(slot, store)?;
        }
        self.recover_listeners(store, sessions)
    }

    /// Enters a stream, with what its batches tell.
    fn restore(&mut self, mut slot: Slot, store: &dyn Store) -> Result<()> {
        let (start, end) = bounds(slot.number);
        let range = KeyRange::new(&start[..]..&end[..]);
        let mut first_kept = None;
        if let Some(last) = store.range(Space::Items, range.clone(), Direction::Reverse).next() {
            let last = read_batch(last?)?;
            slot.written = slot.written.max(last.after());
            slot.last_key = slot.last_key.max(Some(last.last_key));
            if slot.packed.is_some() {
                restore_runs(&mut slot, store, range, &last)?;
            } else if let Some(first) = store.range(Space::Items, range, Direction::Forward).next() {
                first_kept = Some(read_batch(first?)?);
            }
        } else if let (Some(packed), Some(removed)) = (&mut slot.packed, slot.removed_through)
            && let Some(place) = packed.place_through(removed)
        {
            packed.runs.insert(0, place);
        }
        slot.evicted_through = slot.last_key;
        slot.committed_items = slot.written.items;
        slot.committed_key = slot.last_key;
        slot.head = match first_kept {
            Some(first) => Some(Head { first_key: Some(first.first_key), removed: first.before }),
            None if slot.packed.is_some() => head_in_memory(&slot),
            None => Some(Head { first_key: None, removed: slot.written }),
        };
        self.insert(slot);
        Ok(())
    }

    fn recover_listeners(&mut self, store: &dyn Store, sessions: &HashSet<SessionId>) -> Result<WriteBatch> {
        let mut orphans = WriteBatch::new();
        orphans.use_reserve();
        for entry in store.range(Space::Listeners, KeyRange::ALL, Direction::Forward) {
            let (key, value) = entry?;
            let bad = |why| Error::new(ErrorKind::Corrupt, format!("the listener at key {key:02x?} {why}"));
            let (number, id) = read_listener_key(&key).ok_or_else(|| bad("has no such form"))?;
            let record = ListenerRecord::decode(value).map_err(|_| bad("cannot be read"))?;
            let session = SessionId::from_bytes(&record.session);
            let slot = self.table.get_mut(number).ok_or_else(|| bad("belongs to no stream"))?;
            if !record.named && session.is_none_or(|session| !sessions.contains(&session)) {
                orphans.delete(Space::Listeners, &listener_key(number, id));
                continue;
            }
            let id: Arc<str> = Arc::from(id);
            let owner = (!record.owner.is_empty()).then(|| Arc::from(record.owner));
            if let Some(owner) = &owner {
                self.owned_listeners.entry(Arc::clone(owner)).or_default().insert((number, Arc::clone(&id)));
            }
            if let Some(session) = session {
                self.sessions.entry(session).or_default().insert((number, Arc::clone(&id)));
            }
            let listener = Listener {
                named: record.named,
                owner,
                session,
                attached: false,
                epoch: record.epoch,
                // What is removed, this listener had acknowledged too.
                acknowledged: record.acknowledged.max(slot.removed_through),
                position: None,
                dirty: false,
            };
            slot.listeners.insert(id, listener);
        }
        Ok(orphans)
    }

    /// What the observer of a new boot must know: streams that are listened to, whose generators must run, and
    /// generators, given by stream and execution, whose streams were destroyed.
    pub(in crate::engine::embedded) fn recovery_events(
        &self,
        generators: Vec<(Arc<str>, Arc<str>)>,
    ) -> Vec<Event> {
        let slots = self.table.numbers().filter_map(|number| self.table.get(number));
        let waited_for =
            slots.filter(|slot| slot.listened && slot.end.is_none() && slot.linked_execution.is_some());
        let listened = waited_for.map(|slot| Event::StreamListened {
            stream: Arc::clone(&slot.id),
            linked_execution: slot.linked_execution.clone(),
        });
        let orphans = generators.into_iter().filter(|(stream, _)| self.table.find(stream).is_none());
        let destroyed = orphans
            .map(|(stream, generator)| Event::StreamDestroyed { stream, linked_execution: Some(generator) });
        listened.chain(destroyed).collect()
    }
}

fn read_part(slot: &mut Slot, part: Part, value: Bytes) -> Option<()> {
    match part {
        Part::Created | Part::ClosedWriter => return None,
        Part::Mark => {
            let mark = MarkRecord::decode(value).ok()?;
            slot.removed_through = Some(mark.removed_through);
            slot.last_key = Some(mark.last_key);
            slot.written = mark.written();
        }
        Part::End => {
            slot.end = Some(Box::new(EndRecord::decode(value).ok()?.end?));
            slot.end_committed = true;
        }
        Part::Listened => slot.listened = true,
    }
    Some(())
}

/// Which places of a packed stream are written. If it has no gaps, its last batch alone tells.
fn restore_runs(slot: &mut Slot, store: &dyn Store, range: KeyRange, last: &Batch) -> Result<()> {
    let Some(packed) = &mut slot.packed else { return Ok(()) };
    let places = |packed: &super::table::Packed, batch: &Batch| {
        let places = packed.place(batch.first_key).zip(packed.place(batch.last_key));
        places.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a batch of a packed stream is off its stride"))
    };
    let (_, highest) = places(packed, last)?;
    // Then every place up to this one had been written when this batch was, or by it.
    if last.after().items == highest + 1 {
        packed.runs.insert(0, highest);
        return Ok(());
    }
    let mut written = slot.written;
    if let Some(place) = slot.removed_through.and_then(|removed| packed.place_through(removed)) {
        packed.runs.insert(0, place);
    }
    for entry in store.range(Space::Items, range, Direction::Forward) {
        let batch = read_batch(entry?)?;
        let (first, last) = places(packed, &batch)?;
        let first =
            first.max(packed.runs.highest().filter(|highest| *highest >= first).map_or(first, |end| end + 1));
        if first <= last {
            packed.runs.insert(first, last);
        }
        written = written.max(batch.after());
    }
    slot.written = written;
    Ok(())
}

fn read_batch((key, value): (Bytes, Bytes)) -> Result<Batch> {
    let batch = read_item_key(&key).and_then(|last_key| Batch::read(last_key, value));
    batch.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the batch at key {key:02x?} cannot be read")))
}

fn corrupt(key: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the entry of streams at key {key:02x?} {why}"))
}
