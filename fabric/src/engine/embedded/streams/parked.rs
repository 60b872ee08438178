//! Writes that wait until the slowest listener has caught up.

use perper_proto::{Reason, v1};

use super::table::Slot;
use super::write::Refusal;
use super::{Changes, Streams, Unpublished};
use crate::engine::{Identity, Outcome, SessionId, waiting};

/// A write that waits.
pub(super) struct Parked {
    pub(super) identity: Identity,
    pub(super) request: v1::WriteItemsRequest,
}

impl Slot {
    /// The batch continues what can be read of a packed stream: listeners wait for nothing but this.
    pub(super) fn fills_first_gap(&self, batch: &v1::ItemBatch) -> bool {
        self.packed.as_ref().is_some_and(|packed| {
            let gap = packed.runs.first_gap();
            let key = batch.first_key.or_else(|| match packed.runs.highest() {
                Some(highest) => highest.checked_add(1).and_then(|place| packed.key(place)),
                None => Some(packed.first_key),
            });
            // Where nothing is missing, the next batch is just one more, and has to wait like any other.
            packed.runs.gaps() > 0 && key.is_some() && packed.key(gap) == key
        })
    }
}

impl Streams {
    /// Lets a write wait. It takes effect, and is answered, when there is room.
    pub(super) fn park(
        &mut self,
        number: u64,
        identity: Option<Identity>,
        request: v1::WriteItemsRequest,
    ) -> Outcome {
        let Some(slot) = self.table.get_mut(number) else { return Err(self.missing(&request.stream)) };
        let Some(identity) = identity else {
            return Err(Reason::StreamBacklogFull
                .error(format!(
                    "stream {:?} has more unread items than its backlog allows ({}), and a write without an identity \
                     does not wait; try again when its listeners have caught up",
                    slot.id, slot.options.backlog_items
                ))
                .with("stream", &slot.id)
                .with("backlog_items", slot.options.backlog_items));
        };
        slot.parked.push_back(Parked { identity, request });
        self.parked.insert(identity);
        waiting(identity)
    }

    /// Lets in what there is room for by now.
    pub(super) fn resume(&mut self, number: u64, changes: &mut Changes<Unpublished>) {
        loop {
            let Some(slot) = self.table.get(number) else { return };
            let fills = |parked: &Parked| {
                parked.request.batch.as_ref().is_some_and(|batch| slot.fills_first_gap(batch))
            };
            let at = if slot.packed.is_some() { slot.parked.iter().position(fills) } else { None };
            if !self.retry(number, at.unwrap_or(0), false, changes) {
                return;
            }
        }
    }

    /// Lets in everything, room or not.
    pub(super) fn resume_all(&mut self, number: u64, changes: &mut Changes<Unpublished>) {
        while self.retry(number, 0, true, changes) {}
    }

    /// Tries one of the writes that wait again; false if there is none, or it goes on waiting.
    fn retry(&mut self, number: u64, at: usize, force: bool, changes: &mut Changes<Unpublished>) -> bool {
        let Some(slot) = self.table.get_mut(number) else { return false };
        let Some(parked) = slot.parked.remove(at) else { return false };
        let outcome =
            match self.attempt(number, &parked.request, Some(parked.identity), force, at == 0, changes) {
                Err(Refusal::Wait) => {
                    if let Some(slot) = self.table.get_mut(number) {
                        slot.parked.insert(at, parked);
                    }
                    return false;
                }
                tried => self.answer(number, &parked.request, Some(parked.identity), tried, changes),
            };
        self.parked.remove(&parked.identity);
        changes.answers.push((parked.identity, outcome));
        true
    }

    /// Drops what a session that has ended had waiting: nobody is there to be answered.
    pub(super) fn drop_parked(&mut self, session: SessionId) {
        if !self.parked.iter().any(|identity| identity.session == session) {
            return;
        }
        self.parked.retain(|identity| identity.session != session);
        let numbers: Vec<u64> = self.table.numbers().collect();
        for number in numbers {
            if let Some(slot) = self.table.get_mut(number).filter(|slot| !slot.parked.is_empty()) {
                slot.parked.retain(|parked| parked.identity.session != session);
                self.dirty.insert(number);
            }
        }
    }
}
