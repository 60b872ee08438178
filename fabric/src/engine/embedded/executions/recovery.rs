//! Reading executions back from the store.

use std::sync::Arc;

use bytes::Bytes;
use perper_store::{Direction, Error, ErrorKind, KeyRange, Result, Space, Store};
use prost::Message;

use super::Executions;
use super::lifecycle::is_instance;
use super::record::{CreatedRecord, EndRecord, NUMBERS, Part, read_attempts, read_key};
use super::table::{Holder, Slot, State};
use crate::engine::Event;

impl Executions {
    /// Fills an empty shard from the store. The events are for the observer of the new boot.
    pub(in crate::engine::embedded) fn recover(&mut self, store: &dyn Store) -> Result<()> {
        let mut slot: Option<Slot> = None;
        for entry in store.range(Space::Executions, KeyRange::ALL, Direction::Forward) {
            let (key, value) = entry?;
            let (number, part) = read_key(&key).ok_or_else(|| corrupt(&key, "has no such form"))?;
            if part == Part::Created {
                if let Some(slot) = slot.take() {
                    self.restore(slot);
                }
                let record =
                    CreatedRecord::decode(value).map_err(|error| corrupt(&key, &error.to_string()))?;
                let names = &mut self.names;
                let mut intern = |name: &str| match names.get(name) {
                    Some(name) => Arc::clone(name),
                    None => {
                        let name: Arc<str> = Arc::from(name);
                        names.insert(Arc::clone(&name));
                        name
                    }
                };
                let mut created = Slot::new(record.into_execution(number, &mut intern));
                created.committed = true;
                slot = Some(created);
                continue;
            }
            let slot = slot.as_mut().filter(|slot| slot.execution.number == number);
            let slot = slot.ok_or_else(|| corrupt(&key, "belongs to no execution"))?;
            read_part(slot, part, value).ok_or_else(|| corrupt(&key, "cannot be read"))?;
        }
        if let Some(slot) = slot {
            self.restore(slot);
        }
        if let Some(recorded) = store.get(Space::Meta, NUMBERS)? {
            let recorded = recorded[..].try_into().map_err(|_| corrupt(NUMBERS, "is no number"))?;
            self.recorded_through = u64::from_be_bytes(recorded);
            // Else the next execution could be taken for one that is gone: by a session that still holds that, and by a
            // scaler, for which an incarnation is a number.
            self.table.skip_through(self.recorded_through);
        }
        self.recovered_through = self.table.last();
        Ok(())
    }

    fn restore(&mut self, slot: Slot) {
        let parent = slot.execution.parent.as_deref().and_then(|(parent, _)| self.table.number_of(parent));
        if slot.is_pending() {
            let agent = Arc::clone(&slot.execution.agent);
            self.pending.entry(agent).or_default().insert(slot.execution.number);
        }
        self.insert(slot, parent);
    }

    /// Generators that have not ended: the stream of each, and its id.
    pub(in crate::engine::embedded) fn generators(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let slots = self.table.numbers_after(0).filter_map(|number| self.table.get(number));
        let running = slots.filter(|slot| slot.ended().is_none());
        running
            .filter_map(|slot| Some((slot.execution.linked_stream.clone()?, Arc::clone(&slot.execution.id))))
            .collect()
    }

    /// What the observer of a new boot must know: attached calls whose parent is gone, ends that time must take, and
    /// instances that are being stopped.
    pub(in crate::engine::embedded) fn recovery_events(&self) -> Vec<Event> {
        let mut orphaned = Vec::new();
        let mut events = Vec::new();
        for slot in self.table.numbers_after(0).filter_map(|number| self.table.get(number)) {
            if is_instance(slot) && (slot.stopping || slot.ended().is_some()) {
                let force = slot.forced || slot.ended().is_some();
                events.push(Event::Stopping { instance: Arc::clone(&slot.execution), force });
            }
            match slot.ended() {
                Some(ended) => events.push(Event::Ended(Arc::clone(ended))),
                None => {
                    let parent = slot.execution.parent.as_deref().map(|(parent, _)| self.table.find(parent));
                    if parent.is_some_and(|parent| parent.is_none_or(|parent| !parent.is_pending())) {
                        orphaned.push(Arc::clone(&slot.execution.id));
                    } else if slot.execution.deadline.is_some() {
                        events.push(Event::Created(Arc::clone(&slot.execution)));
                    }
                }
            }
        }
        if !orphaned.is_empty() {
            events.push(Event::Orphaned(orphaned));
        }
        events
    }
}

#[cfg(test)]
impl Executions {
    /// Attached calls of attempts that are over, of executions that are not.
    pub(in crate::engine::embedded) fn unswept(&self) -> Vec<Event> {
        let over = |number: &u64| {
            let child = self.table.get(*number)?;
            let (parent, token) = child.execution.parent.as_deref()?;
            let parent = self.table.find(parent)?;
            (parent.is_pending() && !parent.is_held_by(token)).then(|| Arc::clone(&child.execution.id))
        };
        let orphans: Vec<_> = self.children.values().flatten().filter_map(over).collect();
        if orphans.is_empty() { Vec::new() } else { vec![Event::Orphaned(orphans)] }
    }
}

fn read_part(slot: &mut Slot, part: Part, value: Bytes) -> Option<()> {
    match part {
        Part::Created => return None,
        Part::End => {
            let ended = EndRecord::decode(value).ok()?.into_ended(Arc::clone(&slot.execution))?;
            slot.state = State::Ended(Arc::new(ended));
            slot.end_committed = true;
        }
        Part::Started => {
            if matches!(slot.state, State::Waiting) {
                slot.state = State::Pending;
            }
        }
        Part::Stopping => {
            slot.stopping = true;
            slot.forced = !value.is_empty();
        }
        Part::Attempts => {
            slot.attempted = true;
            for (group, attempts) in read_attempts(&value)? {
                slot.holders.push(Holder { group, current: None, attempts });
            }
        }
    }
    Some(())
}

fn corrupt(key: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the entry of executions at key {key:02x?} {why}"))
}
