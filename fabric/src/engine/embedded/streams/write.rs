//! Appending batches.

use perper_proto::{Reason, v1};
use perper_store::Space;

use super::batch::{Batch, check_values};
use super::keys::Keys;
use super::record::{closed_writer_key, item_key};
use super::table::{Slot, Totals};
use super::{Changes, Streams, Unpublished};
use crate::engine::{Identity, Outcome, waiting};

/// Why a batch was not appended.
pub(super) enum Refusal {
    /// The batch is at fault. What the writer sent after it counts on it, so the writer is closed.
    Rejected(v1::Error),
    /// It cannot be taken now, or from this writer.
    Refused(v1::Error),
    /// It has to wait until listeners have caught up.
    Wait,
}

impl Streams {
    pub(super) fn write(
        &mut self,
        request: v1::WriteItemsRequest,
        identity: Option<Identity>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let Some(number) = self.table.number_of(&request.stream) else {
            return Err(self.missing(&request.stream));
        };
        // The client asks again, since its connection broke while this waited.
        if let Some(identity) = identity.filter(|identity| self.parked.contains(identity)) {
            return waiting(identity);
        }
        match self.attempt(number, &request, identity, false, false, changes) {
            Err(Refusal::Wait) => self.park(number, identity, request),
            tried => self.answer(number, &request, identity, tried, changes),
        }
    }

    /// The outcome of a try that is over; closes the writer of a rejected batch.
    pub(super) fn answer(
        &mut self,
        number: u64,
        request: &v1::WriteItemsRequest,
        identity: Option<Identity>,
        tried: Result<i64, Refusal>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        match tried {
            Ok(first_key) => {
                Ok(Some(v1::response::Response::WriteItems(v1::WriteItemsResponse { first_key })))
            }
            Err(Refusal::Rejected(error)) => {
                if let Some(Identity { session, .. }) = identity {
                    self.closed_writers.insert((number, session, request.writer));
                    let key = closed_writer_key(number, session, request.writer);
                    changes.batch.put_slice(Space::Streams, &key, &[]);
                }
                Err(error)
            }
            Err(Refusal::Refused(error)) => Err(error),
            Err(Refusal::Wait) => Err(Reason::Internal.error("a write that waits has no outcome")),
        }
    }

    /// Appends a batch if it may be, and answers its first key. With `force` there is room for any; `next` says that
    /// nothing that waits comes before it.
    pub(super) fn attempt(
        &mut self,
        number: u64,
        request: &v1::WriteItemsRequest,
        identity: Option<Identity>,
        force: bool,
        next: bool,
        changes: &mut Changes<Unpublished>,
    ) -> Result<i64, Refusal> {
        let Some(slot) = self.table.get(number) else {
            return Err(Refusal::Refused(self.missing(&request.stream)));
        };
        let writer = identity.map(|identity| (number, identity.session, request.writer));
        if writer.is_some_and(|writer| self.closed_writers.contains(&writer)) {
            return Err(Refusal::Refused(writer_closed(slot, request.writer)));
        }
        check_reservation(slot, &request.reservation).map_err(Refusal::Refused)?;
        if slot.end.is_some() {
            return Err(Refusal::Refused(completed(slot)));
        }
        let Some(batch) = request.batch.as_ref().filter(|batch| batch.count > 0) else {
            let error =
                Reason::InvalidArgument.error(format!("the batch for stream {:?} has no items", slot.id));
            return Err(Refusal::Rejected(error.with("stream", &slot.id)));
        };
        check_values(batch.count, &batch.values, self.limits.value_bytes)
            .map_err(|error| Refusal::Rejected(error.with("stream", &slot.id)))?;
        let force = force || slot.fills_first_gap(batch);
        if !force && !next && !slot.parked.is_empty() {
            return Err(Refusal::Wait);
        }
        let clock = self.clock;
        let keys = slot.keys(batch, || clock.ticks()).map_err(Refusal::Rejected)?;
        let batch = Batch {
            first_key: keys.first_key,
            last_key: keys.last_key,
            count: batch.count,
            key_deltas: keys.key_deltas.clone().into(),
            before: Totals::default(),
            values: batch.values.clone(),
        };
        let first_key = batch.first_key;
        if collides(slot, &keys)? {
            let rest = self.replay(number, &keys, &batch)?;
            let items: u64 = rest.iter().map(|batch| u64::from(batch.count)).sum();
            let bytes = rest.iter().map(|batch| batch.values.len() as u64).sum();
            self.check_room(number, items, bytes, force)?;
            for batch in rest {
                self.append(number, batch, changes);
            }
        } else {
            self.check_room(number, u64::from(batch.count), batch.values.len() as u64, force)?;
            self.append(number, batch, changes);
        }
        Ok(first_key)
    }

    /// Whether so many more items may be kept.
    fn check_room(&mut self, number: u64, items: u64, bytes: u64, force: bool) -> Result<(), Refusal> {
        let Some(slot) = self.table.get(number).filter(|_| items > 0) else { return Ok(()) };
        if slot.listeners.is_empty() {
            if slot.options.persistent {
                return Ok(());
            }
            let removed = self.head(number).map_err(Refusal::Refused)?.removed;
            let Some(slot) = self.table.get(number) else { return Ok(()) };
            let kept_items = slot.written.items.saturating_sub(removed.items);
            let kept_bytes = slot.written.bytes.saturating_sub(removed.bytes);
            let limits = self.limits;
            if kept_items + items > limits.unheard_items || kept_bytes + bytes > limits.unheard_bytes {
                return Err(Refusal::Refused(unheard(slot, kept_items, kept_bytes, &limits)));
            }
            return Ok(());
        }
        let bound = slot.options.backlog_items;
        if bound == 0 || force {
            return Ok(());
        }
        let unread = self.unread(number).map_err(Refusal::Refused)?;
        // One batch always fits, however large, or it could never be written.
        if unread > 0 && unread.saturating_add(items) > bound { Err(Refusal::Wait) } else { Ok(()) }
    }

    /// Appends a batch that has been checked.
    fn append(&mut self, number: u64, mut batch: Batch, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.get_mut(number) else { return };
        self.appended.0 += u64::from(batch.count);
        self.appended.1 += batch.values.len() as u64;
        batch.before = slot.written;
        changes.batch.put(Space::Items, &item_key(number, batch.last_key), batch.store());
        slot.written = batch.after();
        slot.last_key = slot.last_key.max(Some(batch.last_key));
        if let Some(packed) = &mut slot.packed
            && let (Some(first), Some(last)) = (packed.place(batch.first_key), packed.place(batch.last_key))
        {
            packed.runs.insert(first, last);
        }
        let first_kept = slot.head.as_mut().map(|head| &mut head.first_key);
        if let Some(first_kept) = first_kept
            && first_kept.is_none_or(|first_kept| batch.first_key < first_kept)
        {
            *first_kept = Some(batch.first_key);
        }
        if !slot.parked.is_empty() {
            // A gap may be filled now that held up others.
            self.dirty.insert(number);
        }
        let (items, last_key) = (slot.written.items, batch.last_key);
        match changes.unpublished.last_mut() {
            Some(Unpublished::Written { number: same, items: former, last_key: highest })
                if *same == number =>
            {
                *former = items;
                *highest = last_key.max(*highest);
            }
            _ => changes.unpublished.push(Unpublished::Written { number, items, last_key }),
        }
        self.tail.add(slot, batch);
        self.tail.shrink(&mut self.table);
    }
}

/// Whether some of the keys are written already; an error if they may not be written again.
fn collides(slot: &Slot, keys: &Keys) -> Result<bool, Refusal> {
    let replays = slot.generator.as_ref().is_some_and(|generator| generator.replay_through.is_some());
    let collision = match &slot.packed {
        Some(packed) => {
            let (first, last) = packed.places(&slot.id, keys).map_err(Refusal::Rejected)?;
            packed.runs.first_written(first, last).map(|place| {
                let key = packed.key(place).unwrap_or(keys.first_key);
                slot.exists(key)
            })
        }
        None => slot
            .last_key
            .filter(|last_key| keys.first_key <= *last_key)
            .map(|last_key| slot.not_increasing(keys.first_key, last_key)),
    };
    match collision {
        Some(error) if !(replays && keys.chosen) => Err(Refusal::Rejected(error)),
        collision => Ok(collision.is_some()),
    }
}

/// Only the reservation that holds the generator may write to its stream and end it.
pub(super) fn check_reservation(slot: &Slot, reservation: &[u8]) -> Result<(), v1::Error> {
    let Some(execution) = &slot.linked_execution else { return Ok(()) };
    if slot.generator.as_ref().is_some_and(|generator| generator.token == reservation) {
        return Ok(());
    }
    let id = &slot.id;
    Err(Reason::ReservationLost
        .error(format!(
            "stream {id:?} is written by the worker that has execution {execution:?} reserved, and this reservation of \
             it is not in force"
        ))
        .with("stream", id)
        .with("execution", execution))
}

pub(super) fn completed(slot: &Slot) -> v1::Error {
    Reason::StreamCompleted
        .error(format!("stream {:?} has ended, nothing can be appended to it any more", slot.id))
        .with("stream", &slot.id)
}

fn writer_closed(slot: &Slot, writer: u64) -> v1::Error {
    Reason::WriterClosed
        .error(format!(
            "an earlier batch of writer {writer} for stream {:?} was rejected, so that what follows it is not taken; go \
             on as another writer",
            slot.id
        ))
        .with("stream", &slot.id)
        .with("writer", writer)
}

fn unheard(slot: &Slot, items: u64, bytes: u64, limits: &super::StreamLimits) -> v1::Error {
    Reason::StreamBacklogFull
        .error(format!(
            "stream {:?} keeps {items} items of {bytes} bytes and nobody listens to it; without a listener it keeps at \
             most {} items and {} bytes: attach a listener, or make it persistent",
            slot.id, limits.unheard_items, limits.unheard_bytes
        ))
        .with("stream", &slot.id)
        .with("items", items)
        .with("bytes", bytes)
}
