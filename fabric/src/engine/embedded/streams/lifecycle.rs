//! Creation, start, end and destruction of streams.

use std::sync::Arc;

use perper_proto::{Reason, v1};
use perper_store::Space;
use prost::Message;

use super::record::{EndRecord, Part, StreamRecord, bounds, key};
use super::table::Slot;
use super::{Changes, Streams, Unpublished, remove_from};
use crate::engine::{Event, Outcome};

impl Streams {
    pub(super) fn create(
        &mut self,
        request: v1::CreateStreamRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        if let Some(slot) = self.table.find(&request.stream) {
            return if same_content(slot, &request) {
                Ok(None)
            } else {
                Err(Reason::AlreadyExists
                    .error(format!(
                        "stream {:?} exists with other options, owner or generator; ids must be unique",
                        request.stream
                    ))
                    .with("stream", &request.stream))
            };
        }
        if self.tombstones.contains_key(request.stream.as_str()) {
            return Err(self.missing(&request.stream));
        }
        check_options(&request.stream, request.options.as_ref())?;
        let slot = Slot::new(self.table.next_number(), request);
        changes.batch.put(Space::Streams, &key(slot.number, Part::Created), record(&slot));
        changes.unpublished.push(Unpublished::Created(slot.number));
        self.insert(slot);
        Ok(None)
    }

    /// Enters a slot into the table and the index of owners.
    pub(super) fn insert(&mut self, slot: Slot) {
        if let Some(owner) = &slot.owner {
            self.owned.entry(Arc::clone(owner)).or_default().insert(slot.number);
        }
        self.table.insert(slot);
    }

    pub(super) fn start(
        &mut self,
        request: v1::StartStreamRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = &request.stream;
        let Some(number) = self.table.number_of(id) else { return Err(self.missing(id)) };
        let Some(slot) = self.table.get_mut(number) else { return Err(self.missing(id)) };
        let options = request.options.unwrap_or_default();
        let same = slot.options == options
            && slot.linked_execution.as_deref().unwrap_or_default() == request.linked_execution;
        // Where there are items, their keys have been given by the options there are.
        if (!slot.declared || slot.written.items > 0 || slot.end.is_some()) && !same {
            return Err(Reason::StreamStarted
                .error(format!("stream {id:?} is started, so its options cannot be changed any more"))
                .with("stream", id));
        }
        if !slot.declared {
            return Ok(None);
        }
        check_options(id, Some(&options))?;
        slot.declared = false;
        if !same {
            slot.set_options(options, &request.linked_execution);
        }
        changes.batch.put(Space::Streams, &key(number, Part::Created), record(slot));
        if slot.listened {
            changes.events.push(Event::StreamListened {
                stream: Arc::clone(&slot.id),
                linked_execution: slot.linked_execution.clone(),
            });
        }
        changes.unpublished.push(Unpublished::Created(number));
        Ok(None)
    }

    pub(super) fn complete(
        &mut self,
        request: v1::CompleteStreamRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = &request.stream;
        let Some(number) = self.table.number_of(id) else { return Err(self.missing(id)) };
        let Some(slot) = self.table.get(number) else { return Err(self.missing(id)) };
        super::write::check_reservation(slot, &request.reservation)?;
        if let Some(end) = &slot.end {
            // Told twice, by a client that does not repeat under the same identity.
            return if end.error == request.error { Ok(None) } else { Err(super::write::completed(slot)) };
        }
        self.end(number, request.error, changes);
        Ok(None)
    }

    pub(super) fn abandon(
        &mut self,
        id: &str,
        error: Option<v1::Error>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        if let Some(number) = self.table.number_of(id)
            && self.table.get(number).is_some_and(|slot| slot.end.is_none())
        {
            self.end(number, error, changes);
        }
        Ok(None)
    }

    /// Marks the end, after everything that was handed over before.
    fn end(&mut self, number: u64, error: Option<v1::Error>, changes: &mut Changes<Unpublished>) {
        // Back-pressure never holds up an end, and the end comes after what waits: so what waits is let in.
        self.resume_all(number, changes);
        let Some(slot) = self.table.get_mut(number) else { return };
        let skipped = slot.packed.as_ref().map_or(0, |packed| packed.runs.gaps());
        let end = v1::StreamEnd { error, skipped };
        let record = EndRecord { end: Some(end.clone()) };
        changes.batch.put(Space::Streams, &key(number, Part::End), record.encode_to_vec().into());
        slot.end = Some(Box::new(end));
        changes.unpublished.push(Unpublished::Ended(number));
    }

    pub(super) fn get(&mut self, request: &v1::GetStreamRequest) -> Outcome {
        let Some(number) = self.table.number_of(&request.stream) else {
            return Err(self.missing(&request.stream));
        };
        let stream = self.describe(number);
        Ok(Some(v1::response::Response::GetStream(v1::GetStreamResponse { stream })))
    }

    pub(super) fn destroy(
        &mut self,
        id: &str,
        reason: Reason,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let Some(mut slot) = self.table.number_of(id).and_then(|number| self.table.remove(number)) else {
            // Destroyed already, which is what was asked for.
            return if self.tombstones.contains_key(id) { Ok(None) } else { Err(self.missing(id)) };
        };
        let number = slot.number;
        self.tail.remove_through(&mut slot, i64::MAX);
        if let Some(owner) = &slot.owner {
            remove_from(&mut self.owned, owner, &number);
        }
        for (name, listener) in &slot.listeners {
            self.unindex(number, name, listener);
        }
        self.closed_writers.retain(|(of, ..)| *of != number);
        let (start, end) = bounds(number);
        for space in [Space::Streams, Space::Items, Space::Listeners] {
            changes.batch.delete_range(space, &start, &end);
        }
        self.entomb(&slot.id, reason, changes.now);
        for parked in std::mem::take(&mut slot.parked) {
            self.parked.remove(&parked.identity);
            changes.answers.push((parked.identity, Err(self.missing(id))));
        }
        changes
            .events
            .push(Event::StreamDestroyed { stream: slot.id, linked_execution: slot.linked_execution });
        Ok(None)
    }
}

fn record(slot: &Slot) -> bytes::Bytes {
    StreamRecord { request: Some(slot.to_request()) }.encode_to_vec().into()
}

fn check_options(id: &str, options: Option<&v1::StreamOptions>) -> Result<(), v1::Error> {
    let Some(options) = options else { return Ok(()) };
    if i64::try_from(options.stride).is_err() {
        return Err(Reason::InvalidArgument
            .error(format!("the stride {} of stream {id:?} is larger than any key", options.stride))
            .with("stream", id)
            .with("stride", options.stride));
    }
    if options.stride == 0 && options.first_key != 0 {
        return Err(Reason::InvalidArgument
            .error(format!(
                "stream {id:?} has a first key, {}, but no stride; only packed streams have a first key",
                options.first_key
            ))
            .with("stream", id)
            .with("first_key", options.first_key));
    }
    Ok(())
}

/// Whether a create asks for what exists.
fn same_content(slot: &Slot, request: &v1::CreateStreamRequest) -> bool {
    let defaults = v1::StreamOptions::default();
    slot.options == *request.options.as_ref().unwrap_or(&defaults)
        && slot.owner.as_deref().unwrap_or_default()
            == request.owner.as_ref().map_or("", |owner| &owner.instance)
        && slot.declared == request.declared
        && slot.linked_execution.as_deref().unwrap_or_default() == request.linked_execution
}
