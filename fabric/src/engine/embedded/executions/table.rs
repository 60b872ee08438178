use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{Ended, Execution, SessionId};

/// An execution and what changes about it.
pub(super) struct Slot {
    pub(super) execution: Arc<Execution>,
    pub(super) state: State,
    /// Its creation is durable.
    pub(super) committed: bool,
    /// Its end is durable. Until then scans show it as it was.
    pub(super) end_committed: bool,
    /// (Of an instance:) takes no new calls.
    pub(super) stopping: bool,
    /// Its Stop is not to be called.
    pub(super) forced: bool,
    /// Attempts are on record in the store.
    pub(super) attempted: bool,
    /// One for each work group that has, or had, it reserved. Nearly always none or one.
    pub(super) holders: Vec<Holder>,
}

pub(super) enum State {
    /// Kept back until its stream has a listener.
    Waiting,
    Pending,
    Ended(Arc<Ended>),
}

/// The reservation of one work group.
pub(super) struct Holder {
    pub(super) group: u64,
    /// Who holds it now, with the token; nobody between attempts.
    pub(super) current: Option<(SessionId, Bytes)>,
    /// Attempts so far, without those that were given back unharmed.
    pub(super) attempts: u32,
}

impl Holder {
    pub(super) fn is_held_by(&self, token: &[u8]) -> bool {
        self.current.as_ref().is_some_and(|(_, held)| held == token)
    }
}

impl Slot {
    pub(super) fn new(execution: Execution) -> Self {
        let state = if execution.starts_on_listener { State::Waiting } else { State::Pending };
        Self {
            execution: Arc::new(execution),
            state,
            committed: false,
            end_committed: false,
            stopping: false,
            forced: false,
            attempted: false,
            holders: Vec::new(),
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending)
    }

    pub(super) fn ended(&self) -> Option<&Arc<Ended>> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            State::Waiting | State::Pending => None,
        }
    }

    /// Whether a token proves a reservation that is in force.
    pub(super) fn is_held_by(&self, token: &[u8]) -> bool {
        self.holders.iter().any(|holder| holder.is_held_by(token))
    }

    pub(super) fn attempts(&self) -> u32 {
        self.holders.iter().map(|holder| holder.attempts).max().unwrap_or_default()
    }
}

/// Executions by number and by id.
#[derive(Default)]
pub(super) struct Table {
    slots: HashMap<u64, Slot, NumberHash>,
    numbers: HashMap<Arc<str>, u64>,
    last: u64,
}

/// Numbers that may be looked up for each execution that there is, before to sort those is cheaper.
const WALKED_FOR_ONE: u64 = 16;

/// Numbers are the server's own, so their hash need not withstand anyone.
pub(super) type NumberHash = std::hash::BuildHasherDefault<NumberHasher>;

#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl std::hash::Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte) ^ self.0);
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing: spreads consecutive numbers over the high bits, which the table looks at too.
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }
}

impl Table {
    /// The number for the next execution.
    pub(super) fn next_number(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn number_of(&self, id: &str) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Slot> {
        self.slots.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&number)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Slot> {
        self.get(self.number_of(id)?)
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let number = slot.execution.number;
        self.last = self.last.max(number);
        self.numbers.insert(Arc::clone(&slot.execution.id), number);
        self.slots.insert(number, slot);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Slot> {
        let slot = self.slots.remove(&number)?;
        self.numbers.remove(&slot.execution.id);
        Some(slot)
    }

    /// Numbers in order of creation, after `after`.
    pub(super) fn numbers_after(&self, after: u64) -> impl Iterator<Item = u64> {
        let slots = &self.slots;
        // A server that has run for long has few executions of the many there were: then those are sorted.
        let walked = self.last.saturating_sub(after);
        let sparse = walked / WALKED_FOR_ONE > slots.len() as u64;
        let mut sorted: Vec<u64> = Vec::new();
        if sparse {
            sorted.extend(slots.keys().copied().filter(|number| *number > after));
            sorted.sort_unstable();
        }
        let walk = (!sparse).then(|| after.saturating_add(1)..=self.last).into_iter().flatten();
        sorted.into_iter().chain(walk.filter(move |number| slots.contains_key(number)))
    }

    /// Numbers up to this one have been given away.
    pub(super) fn skip_through(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use perper_proto::v1;

    use super::*;
    use crate::engine::Timestamp;
    use crate::engine::embedded::executions::record::{Facts, execution};

    fn table(numbers: &[u64]) -> Table {
        let mut table = Table::default();
        for number in numbers {
            let request =
                v1::CreateExecutionRequest { execution: format!("e{number}"), ..Default::default() };
            let facts = Facts {
                number: *number,
                incarnation: 0,
                created: Timestamp(0),
                deadline: None,
                caller: None,
            };
            table.insert(Slot::new(execution(request, facts, &mut |name| Arc::from(name))));
        }
        table
    }

    #[test]
    fn numbers_come_in_order_whether_they_are_many_or_few() {
        let dense: Vec<u64> = (1..=100).collect();
        // Looked up one after the other, these would take hours.
        let sparse = [3, 1 << 40, (1 << 41) + 1, u64::MAX - 1];
        for numbers in [&dense[..], &sparse] {
            let table = table(numbers);
            for after in [0, 3, 50, 1 << 40, u64::MAX] {
                let expected: Vec<u64> = numbers.iter().copied().filter(|number| *number > after).collect();
                assert_eq!(table.numbers_after(after).collect::<Vec<_>>(), expected, "after {after}");
            }
        }
        assert_eq!(table(&[]).numbers_after(0).count(), 0);
    }
}
