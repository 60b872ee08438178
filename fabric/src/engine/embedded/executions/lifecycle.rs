//! Creation, completion, and every other way in which an execution changes.

use std::sync::Arc;

use perper_proto::{Reason, v1};
use perper_store::Space;
use prost::Message;

use super::record::{CreatedRecord, EndRecord, Facts, NUMBERS, Part, RECORDED_AHEAD, headers, key};
use super::table::{Slot, State};
use super::{Changes, Executions, Unpublished, remove_from, remove_from_ordered};
use crate::engine::{EndReason, Ended, Event, Execution, Outcome, SessionId, Timestamp};

/// The agent whose executions are the instances of all others.
const REGISTRY: &str = "Registry";

impl Executions {
    pub(super) fn create(
        &mut self,
        request: v1::CreateExecutionRequest,
        caller: Option<SessionId>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let created = |created| {
            Ok(Some(v1::response::Response::CreateExecution(v1::CreateExecutionResponse { created })))
        };
        if let Some(slot) = self.table.find(&request.execution) {
            return if same_content(&slot.execution, &request) {
                created(false)
            } else {
                Err(Reason::AlreadyExists
                    .error(format!(
                        "execution {:?} exists with other content; ids must be unique",
                        request.execution
                    ))
                    .with("execution", &request.execution))
            };
        }
        if self.tombstones.contains_key(request.execution.as_str()) {
            return Err(self.missing(&request.execution));
        }
        let mut deadline = (request.remaining_ms > 0).then(|| changes.now.plus(request.remaining_ms));
        let mut parent_number = None;
        if let Some(parent) = &request.parent {
            let slot = self.table.find(&parent.execution);
            let running = slot.filter(|slot| slot.is_pending() && slot.is_held_by(&parent.reservation));
            let Some(slot) = running else {
                return Err(Reason::ParentEnded
                    .error(format!(
                        "the attempt of execution {:?} that makes this call is over, so nobody would get the result",
                        parent.execution
                    ))
                    .with("parent", &parent.execution));
            };
            parent_number = Some(slot.execution.number);
            deadline = [deadline, slot.execution.deadline].into_iter().flatten().min();
        }
        let mut incarnation = 0;
        if request.agent == REGISTRY {
            incarnation = self.table.next_number();
        } else if let Some(instance) = self.table.find(&request.instance).filter(|slot| is_instance(slot)) {
            // "Stop" is the one call that an instance gets while it is being stopped.
            if (instance.stopping && request.delegate != "Stop") || instance.ended().is_some() {
                return Err(Reason::InstanceStopping
                    .error(format!("instance {:?} is being stopped and takes no new calls", request.instance))
                    .with("instance", &request.instance));
            }
            incarnation = instance.execution.incarnation;
        } else if self.tombstones.contains_key(request.instance.as_str()) {
            return Err(Reason::InstanceStopping
                .error(format!(
                    "instance {:?} was stopped, or did not start, and takes no calls",
                    request.instance
                ))
                .with("instance", &request.instance));
        }

        let number = self.table.next_number();
        if number > self.recorded_through {
            self.recorded_through = number + RECORDED_AHEAD;
            changes.batch.put_slice(Space::Meta, NUMBERS, &self.recorded_through.to_be_bytes());
        }
        let facts = Facts { number, incarnation, created: changes.now, deadline, caller };
        let names = &mut self.names;
        let mut intern = |name: &str| match names.get(name) {
            Some(name) => Arc::clone(name),
            None => {
                let name: Arc<str> = Arc::from(name);
                names.insert(Arc::clone(&name));
                name
            }
        };
        let record = CreatedRecord::new(&facts, request);
        changes.batch.put(Space::Executions, &key(number, Part::Created), record.encode_to_vec().into());
        // From the record, so that the parts of the request move into the execution uncopied.
        let execution = record.into_execution(number, &mut intern);
        self.insert(Slot::new(execution), parent_number);
        changes.unpublished.push(Unpublished::Created(number));
        created(true)
    }

    /// Enters a slot into the table and the indexes.
    pub(super) fn insert(&mut self, slot: Slot, parent: Option<u64>) {
        let execution = &slot.execution;
        if slot.ended().is_none() {
            if let Some(parent) = parent {
                self.children.entry(parent).or_default().insert(execution.number);
            }
            if let Some(caller) = execution.caller {
                self.callers.entry(caller).or_default().insert(execution.number);
            }
        }
        if let Some(owner) = &execution.owner {
            self.owned.entry(Arc::clone(owner)).or_default().insert(execution.number);
        }
        self.table.insert(slot);
    }

    pub(super) fn start(&mut self, id: &str, changes: &mut Changes<Unpublished>) -> Outcome {
        let Some(number) = self.table.number_of(id) else { return Err(self.missing(id)) };
        if let Some(slot) = self.table.get_mut(number)
            && matches!(slot.state, State::Waiting)
        {
            slot.state = State::Pending;
            changes.batch.put_slice(Space::Executions, &key(number, Part::Started), &[]);
            changes.unpublished.push(Unpublished::Started(number));
        }
        Ok(None)
    }

    pub(super) fn complete(
        &mut self,
        request: v1::CompleteExecutionRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = &request.execution;
        let Some(number) = self.table.number_of(id) else {
            return Err(match self.tombstones.get(id.as_str()) {
                Some(_) => lost(id),
                None => self.missing(id),
            });
        };
        let Some(slot) = self.table.get(number) else { return Err(self.missing(id)) };
        if is_instance(slot) {
            // It stands for the instance, which runs until it is stopped.
            return Err(lost(id));
        }
        let allowed = if request.reservation.is_empty() {
            if !slot.execution.manual {
                return Err(Reason::NotManual
                    .error(format!(
                        "execution {id:?} was not created as manual, so it is completed by the worker that has it \
                         reserved; pass the reservation"
                    ))
                    .with("execution", id));
            }
            slot.ended().is_none()
        } else {
            slot.is_pending() && slot.is_held_by(&request.reservation)
        };
        if !allowed {
            return Err(lost(id));
        }
        if slot.execution.deadline.is_some_and(|deadline| deadline <= changes.now) {
            // Nobody has come to end it yet. It is late all the same: a call below may have ended by the very deadline,
            // and this be the handler that says so.
            let refusal = lost(id);
            self.end_without_result(id, EndReason::Deadline, changes)?;
            return Err(refusal);
        }
        let end = match request.failure {
            None => v1::End { results: request.results, error: None, failure: None },
            Some(failure) => v1::End {
                results: Vec::new(),
                error: Some(
                    Reason::ExecutionFailed
                        .error(format!("{} in execution {id}: {}", failure.r#type, failure.message))
                        .with("execution", id),
                ),
                failure: Some(failure),
            },
        };
        self.end(number, EndReason::Completed, end, Some(&request.reservation), changes);
        Ok(None)
    }

    pub(super) fn end_without_result(
        &mut self,
        id: &str,
        reason: EndReason,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let Some(number) = self.table.number_of(id) else { return Err(self.missing(id)) };
        let end = v1::End { results: Vec::new(), error: Some(reason.error(id)), failure: None };
        self.end(number, reason, end, None, changes);
        Ok(None)
    }

    /// Ends an execution, unless it has ended. Whoever else holds a reservation of it is told, and what hangs below is
    /// orphaned.
    pub(super) fn end(
        &mut self,
        number: u64,
        reason: EndReason,
        end: v1::End,
        completed_by: Option<&[u8]>,
        changes: &mut Changes<Unpublished>,
    ) {
        let Some(slot) = self.table.get_mut(number).filter(|slot| slot.ended().is_none()) else { return };
        let record = EndRecord::new(reason, &end);
        changes.batch.put(Space::Executions, &key(number, Part::End), record.encode_to_vec().into());
        let execution = Arc::clone(&slot.execution);
        let ended = Arc::new(Ended { execution: Arc::clone(&execution), end, reason });
        slot.state = State::Ended(Arc::clone(&ended));
        for holder in std::mem::take(&mut slot.holders) {
            let Some((session, token)) = holder.current else { continue };
            remove_from(&mut self.held, &session, number);
            if completed_by != Some(&token[..]) {
                self.tally.revocations += 1;
                changes.events.push(Event::Revoked { session, token, reason });
            }
        }
        remove_from_ordered(&mut self.pending, &execution.agent, number);
        if let Some(caller) = &execution.caller {
            remove_from(&mut self.callers, caller, number);
        }
        if let Some((parent, _)) = execution.parent.as_deref()
            && let Some(parent) = self.table.number_of(parent)
        {
            remove_from(&mut self.children, &parent, number);
        }
        self.orphan(number, None, changes);
        changes.unpublished.push(Unpublished::Ended(ended));
    }

    /// Tells of the attached calls of an execution's attempts; of all but those of `standing`.
    pub(super) fn orphan(&self, number: u64, standing: Option<&[u8]>, changes: &mut Changes<Unpublished>) {
        let Some(children) = self.children.get(&number) else { return };
        let orphaned: Vec<_> = children
            .iter()
            .filter_map(|child| self.table.get(*child))
            .filter(|child| {
                child.execution.parent.as_deref().is_none_or(|(_, token)| Some(&token[..]) != standing)
            })
            .map(|child| Arc::clone(&child.execution.id))
            .collect();
        if !orphaned.is_empty() {
            changes.events.push(Event::Orphaned(orphaned));
        }
    }

    pub(in crate::engine::embedded) fn forget(
        &mut self,
        id: &str,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let Some(number) = self.table.number_of(id) else {
            // Forgotten already, which is what was asked for.
            return if self.tombstones.contains_key(id) { Ok(None) } else { Err(self.missing(id)) };
        };
        self.end_without_result(id, EndReason::Cancelled, changes)?;
        self.remove(number, None, changes);
        Ok(None)
    }

    pub(super) fn expire(&mut self, id: &str, changes: &mut Changes<Unpublished>) -> Outcome {
        if let Some(slot) = self.table.find(id).filter(|slot| slot.ended().is_some()) {
            let number = slot.execution.number;
            self.remove(number, Some(EndReason::Expired), changes);
        }
        Ok(None)
    }

    /// Removes an ended execution. The reason it leaves is that of its end, unless another is given.
    fn remove(&mut self, number: u64, reason: Option<EndReason>, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.remove(number) else { return };
        let execution = slot.execution;
        let ended = match slot.state {
            State::Ended(ended) => ended.reason,
            State::Waiting | State::Pending => EndReason::Cancelled,
        };
        self.entomb(&execution.id, reason.unwrap_or(ended), changes.now);
        if let Some(owner) = &execution.owner {
            remove_from_ordered(&mut self.owned, owner, number);
        }
        changes.batch.delete(Space::Executions, &key(number, Part::Created));
        changes.batch.delete(Space::Executions, &key(number, Part::End));
        if execution.starts_on_listener {
            changes.batch.delete(Space::Executions, &key(number, Part::Started));
        }
        if slot.stopping {
            changes.batch.delete(Space::Executions, &key(number, Part::Stopping));
        }
        if slot.attempted {
            changes.batch.delete(Space::Executions, &key(number, Part::Attempts));
        }
        if self.observed > 0 {
            changes.unpublished.push(Unpublished::Removed(execution));
        }
    }

    pub(super) fn begin_stop(
        &mut self,
        id: &str,
        force: bool,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let slot = self.table.number_of(id).and_then(|number| self.table.get_mut(number));
        let Some(slot) = slot.filter(|slot| is_instance(slot)) else {
            return Err(Reason::NotFound.error(format!("there is no instance {id:?}")).with("instance", id));
        };
        if !slot.stopping || (force && !slot.forced) {
            slot.stopping = true;
            slot.forced |= force;
            let forced: &[u8] = if slot.forced { &[1] } else { &[] };
            changes.batch.put_slice(Space::Executions, &key(slot.execution.number, Part::Stopping), forced);
        }
        Ok(None)
    }

    pub(super) fn get(&self, request: &v1::GetExecutionRequest, now: Timestamp) -> Outcome {
        let Some(slot) = self.table.find(&request.execution) else {
            return Err(self.missing(&request.execution));
        };
        let execution = Some(super::scan::view_now(slot).to_message(now, request.summary));
        Ok(Some(v1::response::Response::GetExecution(v1::GetExecutionResponse { execution })))
    }
}

/// The refusal of a token that is not in force.
pub(super) fn lost(id: &str) -> v1::Error {
    Reason::ReservationLost
        .error(format!(
            "the reservation of execution {id:?} is not in force: it was released, taken over, cancelled, or another \
             worker completed the execution"
        ))
        .with("execution", id)
}

pub(super) fn is_instance(slot: &Slot) -> bool {
    &*slot.execution.agent == REGISTRY
}

/// Whether a create asks for what exists. The deadline is stamped once, so a repeat does not compare it.
fn same_content(existing: &Execution, request: &v1::CreateExecutionRequest) -> bool {
    let parent = existing.parent.as_deref().map(|(id, token)| (&**id, &token[..]));
    let owner = existing.owner.as_deref().unwrap_or_default();
    *existing.agent == *request.agent
        && *existing.instance == *request.instance
        && *existing.delegate == *request.delegate
        && *existing.arguments == *request.arguments
        && headers(existing) == request.headers
        && parent == request.parent.as_ref().map(|parent| (&*parent.execution, &parent.reservation[..]))
        && owner == request.owner.as_ref().map_or("", |owner| &owner.instance)
        && existing.linked_stream.as_deref().unwrap_or_default() == request.linked_stream
        && existing.starts_on_listener == request.starts_on_listener
        && existing.manual == request.manual
}
