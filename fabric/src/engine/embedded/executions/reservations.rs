//! Reservations: one holder at a time for each (execution, work group).

use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;
use perper_store::Space;

use super::lifecycle::lost;
use super::record::{Part, key, write_attempts};
use super::table::Holder;
use super::{Changes, Executions, Unpublished, remove_from};
use crate::engine::embedded::token::{Token, execution_of, group_hash};
use crate::engine::{Claim, EndReason, Event, Outcome, Reservation, SessionId};

impl Executions {
    /// Reserves, if the execution is still to be had in the work group.
    pub(in crate::engine::embedded) fn claim(
        &mut self,
        claim: &Claim,
        changes: &mut Changes<Unpublished>,
    ) -> Option<Reservation> {
        let number = claim.execution.number;
        let group = group_hash(&claim.group);
        let slot = self.table.get_mut(number).filter(|slot| slot.committed && slot.is_pending())?;
        if slot.execution.deadline.is_some_and(|deadline| deadline <= changes.now) {
            return None;
        }
        let holder = match slot.holders.iter_mut().position(|holder| holder.group == group) {
            Some(at) => &mut slot.holders[at],
            None => {
                slot.holders.push(Holder { group, current: None, attempts: 0 });
                slot.holders.last_mut()?
            }
        };
        if holder.current.is_some() {
            return None;
        }
        holder.attempts += 1;
        let attempt = holder.attempts;
        let serial = self.next_serial;
        self.next_serial += 1;
        let token = self
            .seal
            .close(Token { execution: number, group, epoch: self.epoch, serial, attempt }, claim.session);
        holder.current = Some((claim.session, token.clone()));
        let execution = Arc::clone(&slot.execution);
        self.tally.activations += 1;
        self.tally.redeliveries += u64::from(attempt > 1);
        self.held.entry(claim.session).or_default().insert(number);
        // What a former attempt left running, of this boot or of one before, is nobody's any more.
        self.orphan(number, Some(&token), changes);
        if self.observed > 0 {
            changes.events.push(Event::Claimed(Arc::clone(&execution)));
        }
        Some(Reservation { execution, token, attempt, linked_stream: None })
    }

    /// Lets a session go on with what it held before the server restarted.
    pub(in crate::engine::embedded) fn adopt(
        &mut self,
        session: SessionId,
        bytes: &Bytes,
    ) -> Option<Reservation> {
        let token = self.seal.open(bytes, session)?;
        let slot = self.table.get_mut(token.execution).filter(|slot| slot.is_pending())?;
        let held_now = slot.is_held_by(bytes);
        if !held_now {
            // Of this boot, and no longer in force; or another has it by now.
            let taken =
                slot.holders.iter().any(|holder| holder.group == token.group && holder.current.is_some());
            if token.epoch == self.epoch || taken {
                return None;
            }
            slot.holders.retain(|holder| holder.group != token.group);
            slot.holders.push(Holder {
                group: token.group,
                current: Some((session, bytes.clone())),
                attempts: token.attempt,
            });
            self.held.entry(session).or_default().insert(token.execution);
        }
        let execution = Arc::clone(&slot.execution);
        Some(Reservation { execution, token: bytes.clone(), attempt: token.attempt, linked_stream: None })
    }

    pub(super) fn release(
        &mut self,
        request: &v1::ReleaseExecutionRequest,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        let id = &request.execution;
        let Some(number) = self.table.number_of(id) else {
            return Err(if self.tombstones.contains_key(id.as_str()) { lost(id) } else { self.missing(id) });
        };
        let slot = self.table.get_mut(number).filter(|slot| slot.is_pending());
        let holder = slot
            .and_then(|slot| slot.holders.iter_mut().find(|holder| holder.is_held_by(&request.reservation)));
        let Some(holder) = holder else { return Err(lost(id)) };
        holder.attempts = holder.attempts.saturating_sub(1);
        let session = holder.current.take().map(|(session, _)| session);
        if let Some(session) = session {
            remove_from(&mut self.held, &session, number);
        }
        self.reopen(number, changes);
        Ok(None)
    }

    /// Takes back what a session has reserved, but for `keep`.
    pub(in crate::engine::embedded) fn release_session(
        &mut self,
        session: SessionId,
        keep: &[Bytes],
        changes: &mut Changes<Unpublished>,
    ) {
        let kept: Vec<u64> = keep.iter().filter_map(|token| execution_of(token)).collect();
        let numbers: Vec<u64> = self.held.get(&session).into_iter().flatten().copied().collect();
        for number in numbers {
            let Some(slot) = self.table.get_mut(number) else { continue };
            let mut attempts = 0;
            let mut lost_tokens = Vec::new();
            let mut keeps = false;
            for holder in &mut slot.holders {
                let Some((_, token)) = holder.current.take_if(|(held_by, token)| {
                    *held_by == session && !(kept.contains(&number) && keep.contains(token))
                }) else {
                    keeps |= holder.current.as_ref().is_some_and(|(held_by, _)| *held_by == session);
                    continue;
                };
                attempts = attempts.max(holder.attempts);
                lost_tokens.push(token);
            }
            if !keeps {
                remove_from(&mut self.held, &session, number);
            }
            for token in &lost_tokens {
                let reason = EndReason::ReservationLost;
                self.tally.revocations += 1;
                changes.events.push(Event::Revoked { session, token: token.clone(), reason });
            }
            if lost_tokens.is_empty() {
                continue;
            }
            if attempts >= self.limits.attempts {
                let id = slot.execution.id.to_string();
                let mut error = EndReason::AttemptsExhausted.error(&id);
                error = error.with("attempts", attempts);
                let end = v1::End { results: Vec::new(), error: Some(error), failure: None };
                self.end(number, EndReason::AttemptsExhausted, end, None, changes);
                continue;
            }
            slot.attempted = true;
            let groups = slot.holders.iter().map(|holder| (holder.group, holder.attempts));
            let record = write_attempts(groups);
            changes.batch.put_slice(Space::Executions, &key(number, Part::Attempts), &record);
            self.reopen(number, changes);
        }
    }

    /// Offers an execution again after an attempt is over.
    fn reopen(&self, number: u64, changes: &mut Changes<Unpublished>) {
        let Some(slot) = self.table.get(number) else { return };
        let standing: Vec<&[u8]> = slot
            .holders
            .iter()
            .filter_map(|holder| holder.current.as_ref())
            .map(|(_, token)| &token[..])
            .collect();
        // With several work groups, children of another group's attempt go on.
        match standing.as_slice() {
            [] => self.orphan(number, None, changes),
            [one] => self.orphan(number, Some(one), changes),
            _ => {}
        }
        changes.events.push(Event::Pending(Arc::clone(&slot.execution)));
    }
}
