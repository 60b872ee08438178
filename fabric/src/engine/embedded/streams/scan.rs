//! Reads for inspection, and what an instance owns.

use std::ops::Bound;
use std::sync::Arc;

use perper_proto::v1;

use super::Streams;
use super::table::{Listener, Slot};
use crate::engine::Owned;

impl Streams {
    /// A stream, if it is there. Only what is durable.
    pub(in crate::engine::embedded) fn view(&mut self, id: &str) -> Option<v1::Stream> {
        let slot = self.table.find(id).filter(|slot| slot.committed)?;
        self.describe(slot.number)
    }

    /// Streams in order of id, after `after`. Only what is durable.
    pub(in crate::engine::embedded) fn scan(&mut self, after: &str, limit: usize) -> Vec<v1::Stream> {
        let numbers: Vec<u64> = self
            .table
            .numbers_from(after)
            .filter(|number| self.table.get(*number).is_some_and(|slot| slot.committed && &*slot.id != after))
            .take(limit)
            .collect();
        numbers.into_iter().filter_map(|number| self.describe(number)).collect()
    }

    /// A stream in the protocol's form.
    pub(super) fn describe(&mut self, number: u64) -> Option<v1::Stream> {
        // A storage that cannot be read is told to those who need items; here the numbers are all that is missing.
        let head = self.head(number).ok();
        let slot = self.table.get(number)?;
        let removed = head.map_or(slot.written, |head| head.removed);
        Some(v1::Stream {
            stream: slot.id.to_string(),
            options: Some(slot.options.clone()),
            owner: slot.owner.as_ref().map(|owner| v1::Owner { instance: owner.to_string() }),
            declared: slot.declared,
            linked_execution: slot.linked_execution.as_deref().unwrap_or_default().to_owned(),
            first_key: head.and_then(|head| head.first_key),
            last_key: slot.last_key,
            items_kept: slot.written.items.saturating_sub(removed.items),
            items_written: slot.written.items,
            bytes_kept: slot.written.bytes.saturating_sub(removed.bytes),
            end: slot.end.as_deref().cloned(),
            listened: slot.listened,
            listeners: u32::try_from(slot.listeners.len()).unwrap_or(u32::MAX),
        })
    }

    /// Listeners in order of stream and id, after (stream, listener).
    pub(in crate::engine::embedded) fn scan_listeners(
        &self,
        stream: Option<&str>,
        after: (&str, &str),
        limit: usize,
    ) -> Vec<v1::Listener> {
        let mut listeners = Vec::new();
        let from = stream.unwrap_or(after.0);
        for slot in self.table.numbers_from(from).filter_map(|number| self.table.get(number)) {
            if stream.is_some_and(|stream| *stream != *slot.id) || listeners.len() >= limit {
                break;
            }
            if !slot.committed || *slot.id < *after.0 {
                continue;
            }
            let start = if *slot.id == *after.0 { Bound::Excluded(after.1) } else { Bound::Unbounded };
            let range = slot.listeners.range::<str, _>((start, Bound::Unbounded));
            let room = limit - listeners.len();
            listeners.extend(range.take(room).map(|(id, listener)| describe_listener(slot, id, listener)));
        }
        listeners
    }

    /// What an instance owns.
    pub(in crate::engine::embedded) fn owned_by(&self, instance: &str) -> Vec<Owned> {
        let numbers = self.owned.get(instance).into_iter().flatten();
        let streams = numbers.filter_map(|number| self.table.get(*number));
        let mut owned: Vec<_> = streams.map(|slot| Owned::Stream(Arc::clone(&slot.id))).collect();
        let listeners = self.owned_listeners.get(instance).into_iter().flatten();
        owned.extend(listeners.filter_map(|(number, listener)| {
            let slot = self.table.get(*number)?;
            Some(Owned::Listener(Arc::clone(&slot.id), Arc::clone(listener)))
        }));
        owned
    }
}

fn describe_listener(slot: &Slot, id: &Arc<str>, listener: &Listener) -> v1::Listener {
    v1::Listener {
        stream: slot.id.to_string(),
        name: if listener.named { id.to_string() } else { String::new() },
        owner: listener.owner.as_ref().map(|owner| v1::Owner { instance: owner.to_string() }),
        epoch: listener.epoch,
        acknowledged_key: listener.acknowledged,
        attached: listener.attached,
    }
}
