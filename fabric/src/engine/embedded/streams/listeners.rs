//! Listeners: records of who has read how far.

use std::sync::Arc;

use perper_proto::v1::attach_listener_request::Start;
use perper_proto::{Reason, v1};
use perper_store::Space;
use prost::Message;

use super::record::{ListenerRecord, Part, key, listener_key};
use super::table::{Listener, Slot};
use super::{Changes, Streams, Unpublished, remove_from};
use crate::engine::{AttachListener, Event, Outcome, SessionId};

impl Streams {
    pub(super) fn attach(&mut self, attach: AttachListener, changes: &mut Changes<Unpublished>) -> Outcome {
        let AttachListener { session, listener: id, request } = attach;
        let Some(number) = self.table.number_of(&request.stream) else {
            return Err(self.missing(&request.stream));
        };
        let head = self.head(number)?;
        let Some(slot) = self.table.get_mut(number) else { return Err(self.missing(&request.stream)) };
        let first = !slot.listened;
        let (id, items_removed) = match slot.listeners.get_key_value(id.as_str()) {
            Some((id, _)) => (Arc::clone(id), false),
            None => {
                let (acknowledged, items_removed) = start_after(slot, request.start.as_ref(), first);
                let id: Arc<str> = Arc::from(id);
                let owner = request.owner.filter(|owner| !owner.instance.is_empty());
                let listener = Listener {
                    named: !request.name.is_empty(),
                    owner: owner.map(|owner| Arc::from(owner.instance)),
                    session: None,
                    attached: false,
                    epoch: 0,
                    acknowledged,
                    position: None,
                    dirty: false,
                };
                slot.listeners.insert(Arc::clone(&id), listener);
                (id, items_removed)
            }
        };
        let Some(listener) = slot.listeners.get_mut(&id) else { return Ok(None) };
        if let Some(former) = listener.session {
            remove_from(&mut self.sessions, &former, &(number, Arc::clone(&id)));
            if listener.attached {
                changes.events.push(Event::ListenerTakenOver {
                    session: former,
                    stream: Arc::clone(&slot.id),
                    listener: Arc::clone(&id),
                    epoch: listener.epoch,
                });
            }
        }
        listener.session = Some(session);
        listener.attached = true;
        listener.epoch += 1;
        // The client knows better than the record where it is, since acknowledgements lag behind.
        let read_to = match request.start {
            Some(Start::ResumeAfter(key)) => listener.acknowledged.max(Some(key)),
            _ => listener.acknowledged,
        };
        let response = v1::AttachListenerResponse {
            start_key: start_key(read_to, slot.removed_through, head.first_key, slot.packed.as_deref()),
            items_removed,
            epoch: listener.epoch,
            options: Some(slot.options.clone()),
        };
        changes.batch.put(Space::Listeners, &listener_key(number, &id), record(listener));
        if let Some(owner) = &listener.owner {
            self.owned_listeners.entry(Arc::clone(owner)).or_default().insert((number, Arc::clone(&id)));
        }
        self.sessions.entry(session).or_default().insert((number, id));
        if first {
            slot.listened = true;
            changes.batch.put_slice(Space::Streams, &key(number, Part::Listened), &[]);
            changes.events.push(Event::StreamListened {
                stream: Arc::clone(&slot.id),
                linked_execution: slot.linked_execution.clone(),
            });
        }
        // A listener that skips items may let them go, and writers with them.
        self.dirty.insert(number);
        Ok(Some(v1::response::Response::AttachListener(response)))
    }

    pub(super) fn acknowledge(&mut self, stream: &str, id: &str, epoch: u64, through: i64) -> Outcome {
        let Some(number) = self.table.number_of(stream) else { return Err(self.missing(stream)) };
        let Some(slot) = self.table.get_mut(number) else { return Err(self.missing(stream)) };
        // What has not been readable cannot have been processed, and would be lost if it came later.
        let through = slot.readable_through().min(Some(through));
        let listener = slot.listeners.get_mut(id).filter(|listener| listener.epoch == epoch);
        if let Some(listener) = listener.filter(|listener| listener.acknowledged < through) {
            listener.acknowledged = through;
            listener.position = None;
            listener.dirty = true;
            self.dirty.insert(number);
        }
        Ok(None)
    }

    /// Writes the acknowledgements of a run, once for each listener.
    ///
    /// Those of unnamed listeners are not written: after a restart such a listener begins where it attached, or where
    /// clean-up is, and its client says how far it got. So the items above that are all there, and what is written for
    /// each acknowledgement is what clean-up writes.
    pub(super) fn write_acknowledgements(&mut self, number: u64, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.get_mut(number) else { return };
        for (id, listener) in slot.listeners.iter_mut().filter(|(_, listener)| listener.dirty) {
            listener.dirty = false;
            if listener.named {
                changes.batch.put(Space::Listeners, &listener_key(number, id), record(listener));
            }
        }
    }

    pub(super) fn detach(
        &mut self,
        stream: &str,
        id: &str,
        epoch: u64,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let Some(number) = self.table.number_of(stream) else { return Ok(None) };
        let found = self.table.get(number).and_then(|slot| slot.listeners.get_key_value(id));
        if let Some((id, listener)) = found.filter(|(_, listener)| listener.epoch == epoch) {
            let (id, named) = (Arc::clone(id), listener.named);
            self.leave(number, &id, named, changes);
        }
        Ok(None)
    }

    /// A session has ended: its unnamed listeners go, its named ones are left without a session.
    pub(in crate::engine::embedded) fn end_session(
        &mut self,
        session: SessionId,
        changes: &mut Changes<Unpublished>,
    ) {
        for (number, id) in self.sessions.remove(&session).unwrap_or_default() {
            let listener = self.table.get(number).and_then(|slot| slot.listeners.get(&id));
            if let Some(named) = listener.map(|listener| listener.named) {
                self.leave(number, &id, named, changes);
            }
        }
        self.drop_parked(session);
        for (number, of, writer) in self.closed_writers.extract_if(|(_, of, _)| *of == session) {
            changes.batch.delete(Space::Streams, &super::record::closed_writer_key(number, of, writer));
        }
    }

    /// The session of a listener leaves it.
    fn leave(&mut self, number: u64, id: &Arc<str>, stays: bool, changes: &mut Changes<Unpublished>) {
        if !stays {
            return self.remove_listener(number, id, changes);
        }
        let slot = self.table.get_mut(number);
        if let Some(listener) = slot.and_then(|slot| slot.listeners.get_mut(id)) {
            listener.attached = false;
            if let Some(session) = listener.session.take() {
                remove_from(&mut self.sessions, &session, &(number, Arc::clone(id)));
            }
        }
    }

    pub(super) fn remove_named(
        &mut self,
        request: &v1::RemoveListenerRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let (stream, name) = (&request.stream, &request.name);
        let Some(number) = self.table.number_of(stream) else { return Err(self.missing(stream)) };
        let Some(slot) = self.table.get(number) else { return Err(self.missing(stream)) };
        let Some((id, listener)) =
            slot.listeners.get_key_value(name.as_str()).filter(|(_, listener)| listener.named)
        else {
            return Err(Reason::NotFound
                .error(format!("stream {stream:?} has no listener of the name {name:?}"))
                .with("stream", stream)
                .with("listener", name));
        };
        let id = Arc::clone(id);
        if let Some(session) = listener.session.filter(|_| listener.attached) {
            changes.events.push(Event::ListenerRemoved {
                session,
                stream: Arc::clone(&slot.id),
                listener: Arc::clone(&id),
                epoch: listener.epoch,
            });
        }
        self.remove_listener(number, &id, changes);
        Ok(None)
    }

    fn remove_listener(&mut self, number: u64, id: &Arc<str>, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.get_mut(number) else { return };
        let Some(listener) = slot.listeners.remove(id) else { return };
        changes.batch.delete(Space::Listeners, &listener_key(number, id));
        self.unindex(number, id, &listener);
        // It may have been the slowest.
        self.dirty.insert(number);
    }

    /// Takes a listener out of the indexes.
    pub(super) fn unindex(&mut self, number: u64, id: &Arc<str>, listener: &Listener) {
        let entry = (number, Arc::clone(id));
        if let Some(session) = &listener.session {
            remove_from(&mut self.sessions, session, &entry);
        }
        if let Some(owner) = &listener.owner {
            remove_from(&mut self.owned_listeners, owner, &entry);
        }
    }
}

pub(super) fn record(listener: &Listener) -> bytes::Bytes {
    let session = listener.session.filter(|_| !listener.named);
    let record = ListenerRecord {
        named: listener.named,
        owner: listener.owner.as_deref().unwrap_or_default().to_owned(),
        session: session.map(|session| session.to_bytes().to_vec()).unwrap_or_default(),
        epoch: listener.epoch,
        acknowledged: listener.acknowledged,
    };
    record.encode_to_vec().into()
}

/// After which key a new listener starts, and whether something it asks for is gone.
fn start_after(slot: &Slot, start: Option<&Start>, first: bool) -> (Option<i64>, bool) {
    let removed = slot.removed_through;
    match start {
        Some(Start::Key(key)) => (key.checked_sub(1).max(removed), Some(*key) <= removed),
        Some(Start::ResumeAfter(key)) => (Some(*key).max(removed), Some(*key) < removed),
        Some(Start::Beginning(true)) => (removed, removed.is_some()),
        Some(Start::Latest(_) | Start::Beginning(false)) | None => {
            // What was written before anyone could listen is for the first one who does.
            if first && !slot.options.persistent { (removed, false) } else { (slot.last_key, false) }
        }
    }
}

/// The first key that can come after everything through `read_to`.
fn start_key(
    read_to: Option<i64>,
    removed_through: Option<i64>,
    first_kept: Option<i64>,
    packed: Option<&super::table::Packed>,
) -> i64 {
    let after = read_to.max(removed_through).map(|key| key.saturating_add(1));
    match packed {
        Some(packed) => match after.map(|after| after.max(packed.first_key)) {
            Some(after) => {
                let place = packed.place_through(after - 1).map_or(0, |place| place + 1);
                packed.key(place).unwrap_or(i64::MAX)
            }
            None => packed.first_key,
        },
        None => after
            .max(first_kept.filter(|first| after.is_none_or(|after| after <= *first)))
            .unwrap_or(i64::MIN),
    }
}
