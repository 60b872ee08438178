use perper_proto::v1::{AttachListenerResponse, ItemBatch, attach_listener_request::Start};

/// Where an attached listener stands in its stream: what to ask for after a reconnect, what to drop because it has
/// been seen, and what has been acknowledged.
///
/// Three keys move through the stream, each behind the one before: *received* (in the client's memory), *processed*
/// (the user has asked for what follows), *acknowledged* (the server has been told).
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the user asked to start.
    start: Start,
    /// The first key that could come, as the server said on the first attach.
    actual: Option<i64>,
    received: Option<i64>,
    processed: Option<i64>,
    /// The highest acknowledgement handed to the present connection.
    acknowledged: Option<i64>,
    /// Between two keys of a batch without a list of keys.
    step: i64,
}

/// What the user can be told after an attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// The first key that can come.
    pub(crate) start_key: i64,
    /// Items that should have come are gone.
    pub(crate) items_removed: bool,
}

impl Place {
    pub(crate) fn new(start: Start) -> Self {
        Place { start, actual: None, received: None, processed: None, acknowledged: None, step: 1 }
    }

    /// Where to start on a new connection.
    pub(crate) fn start(&mut self) -> Start {
        // The acknowledgement on the wire may have been lost with the connection.
        self.acknowledged = None;
        match (self.received, self.actual) {
            (Some(key), _) => Start::ResumeAfter(key),
            // Nothing came yet, but "latest" was a moment ago: hold on to the place that it meant then.
            (None, Some(key)) => Start::Key(key),
            (None, None) => self.start,
        }
    }

    /// The server has attached the listener.
    pub(crate) fn attached(&mut self, response: &AttachListenerResponse) -> Attachment {
        let stride = response.options.as_ref().map_or(0, |options| options.stride);
        self.step = i64::try_from(stride.max(1)).unwrap_or(i64::MAX);
        self.actual.get_or_insert(response.start_key);
        Attachment { start_key: response.start_key, items_removed: response.items_removed }
    }

    pub(crate) fn step(&self) -> i64 {
        self.step
    }

    /// Takes a batch in: drops what has been seen. `None` when nothing is left of it, or nothing was in it.
    pub(crate) fn receive(&mut self, batch: ItemBatch) -> Option<ItemBatch> {
        let last = last_key(&batch, self.step)?;
        let batch = match self.received {
            Some(received) if last <= received => return None,
            Some(received) => skip_through(batch, received, self.step)?,
            None => batch,
        };
        self.received = Some(last);
        Some(batch)
    }

    /// The user is done with everything up to that key.
    pub(crate) fn process(&mut self, key: i64) {
        self.processed = self.processed.max(Some(key));
    }

    /// The acknowledgement to send, if there is news.
    pub(crate) fn take_acknowledgement(&mut self) -> Option<i64> {
        (self.processed > self.acknowledged).then(|| {
            self.acknowledged = self.processed;
            self.processed
        })?
    }

    pub(crate) fn has_acknowledgement(&self) -> bool {
        self.processed > self.acknowledged
    }
}

/// The key of the batch's first item; `None` for an empty batch.
pub(crate) fn first_key(batch: &ItemBatch) -> Option<i64> {
    if batch.count == 0 {
        return None;
    }
    batch.key_deltas.first().copied().or(batch.first_key)
}

/// The key of the batch's last item; `None` for an empty batch.
pub(crate) fn last_key(batch: &ItemBatch, step: i64) -> Option<i64> {
    let first = first_key(batch)?;
    if batch.key_deltas.is_empty() {
        return Some(first.saturating_add(step.saturating_mul(i64::from(batch.count) - 1)));
    }
    Some(batch.key_deltas.iter().fold(0, |key: i64, delta| key.wrapping_add(*delta)))
}

/// The items of the batch after that key.
fn skip_through(mut batch: ItemBatch, seen: i64, step: i64) -> Option<ItemBatch> {
    let mut key = first_key(&batch)?;
    let mut skipped = 0usize;
    while key <= seen {
        skipped += 1;
        if skipped >= batch.count as usize {
            return None;
        }
        let delta = batch.key_deltas.get(skipped).copied();
        key = key.wrapping_add(delta.unwrap_or(step));
        take_value(&mut batch.values)?;
    }
    if skipped > 0 {
        batch.count -= skipped as u32;
        if batch.key_deltas.is_empty() {
            batch.first_key = Some(key);
        } else {
            batch.key_deltas.drain(..skipped);
            // The first delta of a batch is against 0.
            if let Some(first) = batch.key_deltas.first_mut() {
                *first = key;
            }
        }
    }
    Some(batch)
}

/// Splits the first value, with its length before it, off a batch's values. `None` when they are malformed.
pub(crate) fn take_value(values: &mut bytes::Bytes) -> Option<bytes::Bytes> {
    let mut length = 0u64;
    for (index, &byte) in values.iter().enumerate().take(10) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            let start = index + 1;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            if end > values.len() {
                return None;
            }
            let mut value = values.split_to(end);
            bytes::Buf::advance(&mut value, start);
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
