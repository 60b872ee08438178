//! Reads: views for inspection, and what there is when somebody begins to follow.

use std::sync::Arc;

use perper_proto::v1;

use super::Executions;
use super::record::headers;
use super::table::{Slot, State};
use crate::engine::{ExecutionQuery, ExecutionView, Held, SessionId, Timestamp};

/// An execution as it is in memory, for answers that wait until that is durable.
pub(super) fn view_now(slot: &Slot) -> ExecutionView {
    view_with_end(slot, true)
}

/// An execution as far as it is durable.
fn view(slot: &Slot) -> ExecutionView {
    view_with_end(slot, slot.end_committed)
}

fn view_with_end(slot: &Slot, end_shown: bool) -> ExecutionView {
    let held: Vec<Held> = slot
        .holders
        .iter()
        .filter_map(|holder| {
            holder.current.as_ref().map(|(session, _)| Held { session: *session, attempt: holder.attempts })
        })
        .collect();
    let state = match slot.state {
        State::Waiting => v1::ExecutionState::Waiting,
        State::Ended(_) if end_shown => v1::ExecutionState::Completed,
        // Who held one that has just ended is not known any more.
        State::Pending | State::Ended(_) if held.is_empty() => v1::ExecutionState::Pending,
        State::Pending | State::Ended(_) => v1::ExecutionState::Reserved,
    };
    ExecutionView {
        execution: Arc::clone(&slot.execution),
        state,
        attempt: slot.attempts(),
        held,
        ended: slot.ended().filter(|_| end_shown).cloned(),
        stopping: slot.stopping,
    }
}

impl ExecutionView {
    /// In the protocol's form; `summary` leaves arguments and results out.
    pub fn to_message(&self, now: Timestamp, summary: bool) -> v1::Execution {
        let execution = &self.execution;
        let mut end = self.ended.as_ref().map(|ended| ended.end.clone());
        if let Some(end) = end.as_mut().filter(|_| summary) {
            end.results.clear();
        }
        v1::Execution {
            execution: execution.id.to_string(),
            agent: execution.agent.to_string(),
            instance: execution.instance.to_string(),
            incarnation: execution.incarnation,
            delegate: execution.delegate.to_string(),
            arguments: if summary { Vec::new() } else { execution.arguments.to_vec() },
            headers: headers(execution),
            // The reservation is a secret of the parent's worker.
            parent: execution
                .parent
                .as_deref()
                .map(|(id, _)| v1::Parent { execution: id.to_string(), reservation: Default::default() }),
            owner: execution.owner.as_ref().map(|owner| v1::Owner { instance: owner.to_string() }),
            age_ms: now.0.saturating_sub(execution.created.0),
            remaining_ms: execution.deadline.map_or(0, |deadline| deadline.remaining(now)),
            linked_stream: execution.linked_stream.as_deref().unwrap_or_default().to_owned(),
            manual: execution.manual,
            state: self.state as i32,
            attempt: self.attempt,
            end,
        }
    }
}

impl Executions {
    /// Executions that match, in order of creation, after `after`. Only what is durable.
    pub(in crate::engine::embedded) fn scan(
        &self,
        query: &ExecutionQuery,
        after: u64,
        limit: usize,
    ) -> Vec<ExecutionView> {
        let visible = |number: u64| {
            let slot = self.table.get(number)?;
            (slot.committed && query.matches(&slot.execution)).then(|| view(slot))
        };
        // The narrowest index that covers the query; everything else is a walk over all.
        if let Some(caller) = &query.caller {
            let mut numbers: Vec<u64> = self.callers.get(caller).into_iter().flatten().copied().collect();
            numbers.sort_unstable();
            return numbers
                .into_iter()
                .filter(|number| *number > after)
                .filter_map(visible)
                .take(limit)
                .collect();
        }
        if let Some(parent) = &query.parent {
            let parent = self.table.number_of(parent);
            let mut numbers: Vec<u64> =
                parent.and_then(|parent| self.children.get(&parent)).into_iter().flatten().copied().collect();
            numbers.sort_unstable();
            return numbers
                .into_iter()
                .filter(|number| *number > after)
                .filter_map(visible)
                .take(limit)
                .collect();
        }
        if let Some(agent) = query.agent.as_ref().filter(|_| query.claimable) {
            let pending = self.pending.get(agent).into_iter().flat_map(|numbers| numbers.range(after + 1..));
            return pending.copied().filter_map(visible).take(limit).collect();
        }
        self.table.numbers_after(after).filter_map(visible).take(limit).collect()
    }

    /// How many executions match.
    pub(in crate::engine::embedded) fn count(&self, query: &ExecutionQuery) -> u64 {
        match query {
            // What scalers ask for again and again.
            ExecutionQuery {
                agent: Some(agent),
                claimable: true,
                instance: None,
                delegates,
                parent: None,
                caller: None,
            } if delegates.is_empty() => self.pending.get(agent).map_or(0, |pending| pending.len() as u64),
            query => self.scan(query, 0, usize::MAX).len() as u64,
        }
    }

    /// One execution with its state, once it is durable.
    pub(in crate::engine::embedded) fn view(&self, id: &str) -> Option<ExecutionView> {
        self.table.find(id).filter(|slot| slot.committed).map(view)
    }

    /// Ids of what an instance owns.
    pub(in crate::engine::embedded) fn owned_by(&self, instance: &str) -> Vec<Arc<str>> {
        let numbers = self.owned.get(instance).into_iter().flatten();
        numbers
            .filter_map(|number| self.table.get(*number))
            .map(|slot| Arc::clone(&slot.execution.id))
            .collect()
    }

    /// Reservations of a session.
    pub(in crate::engine::embedded) fn held_by(&self, session: SessionId) -> usize {
        self.held.get(&session).map_or(0, |held| held.len())
    }
}
