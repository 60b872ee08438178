use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::{BufMut, Bytes, BytesMut};
use perper_proto::v1::{self, ItemBatch, request};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use super::{
    fabric::Fabric, hub::lock, machines::session::Class, reply::Reply, request::Encoded,
    streams::first_key_written,
};
use crate::{Error, ErrorKind, Result};

/// A batch is closed when it has grown to this many bytes: large enough that its own cost is lost in that of its
/// items, small enough to flow.
const BATCH_BYTES: usize = 256 << 10;

/// How to write to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// The stream's id.
    pub stream: String,
    /// For a linked stream: the reservation under which the generator runs. Empty for a blank one.
    pub reservation: Bytes,
    /// The stream's stride, if it is packed; 0 if not. Keys of one's own are gathered into runs by it.
    pub stride: u64,
    /// How many bytes of items may be on their way before writing waits.
    pub bytes_in_flight: usize,
}

impl WriterOptions {
    /// A writer to an unpacked, blank stream.
    pub fn new(stream: impl Into<String>) -> Self {
        WriterOptions {
            stream: stream.into(),
            reservation: Bytes::new(),
            stride: 0,
            bytes_in_flight: 4 << 20,
        }
    }
}

pub(crate) struct WriterShared {
    stream: String,
    number: u64,
    reservation: Bytes,
    /// 1 for an unpacked stream.
    step: i64,
    packed: bool,
    bytes_in_flight: usize,
    state: Mutex<WriterState>,
}

#[derive(Default)]
struct WriterState {
    /// The batch that grows.
    open: OpenBatch,
    /// The number of creations when the open batch was queued; `None` while it is not queued. A batch goes out at its
    /// place in the queue, so what refers to something created later must go into another one, behind it.
    queued: Option<u64>,
    /// Full, and each with a place in the queue.
    sealed: VecDeque<OpenBatch>,
    /// The bytes of each batch that was taken from here and not answered, in order.
    sent: VecDeque<usize>,
    /// Of the open batch, the sealed and the sent ones.
    bytes: usize,
    error: Option<Error>,
    wakers: Vec<Waker>,
}

/// Items on their way into one batch.
#[derive(Default)]
struct OpenBatch {
    values: BytesMut,
    count: u32,
    keys: Keys,
    /// The last key, where the keys are the writer's.
    last_key: i64,
}

#[derive(Default, PartialEq)]
enum Keys {
    /// The server gives them.
    #[default]
    Automatic,
    /// From that key on, by the stream's stride.
    Run(i64),
    /// Differences, the first to 0.
    Deltas(Vec<i64>),
}

impl fmt::Debug for WriterShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Writes the items of a stream, as fast as they come: each is appended to a batch, and the connection takes the batch
/// as it has grown by then. Several batches may be on their way.
///
/// Writing waits when too many bytes are on their way. A batch that is refused closes the writer: that error is what
/// every later write and flush gets, and nothing after that batch is in the stream. Dropping the writer does not lose
/// what was written; only [`flush`](Writer::flush) tells whether it arrived.
pub struct Writer {
    fabric: Fabric,
    shared: Arc<WriterShared>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl Fabric {
    /// A writer of a stream.
    pub fn writer(&self, options: WriterOptions) -> Writer {
        let shared = Arc::new(WriterShared {
            stream: options.stream,
            number: self.new_writer_number(),
            reservation: options.reservation,
            step: i64::try_from(options.stride.max(1)).unwrap_or(i64::MAX),
            packed: options.stride > 0,
            bytes_in_flight: options.bytes_in_flight,
            state: Mutex::new(WriterState::default()),
        });
        Writer { fabric: self.clone(), shared }
    }

    /// Appends one batch of items with automatic keys, and gives the key of the first. For many batches use a
    /// [`writer`](Fabric::writer).
    pub fn write_items(
        &self,
        stream: impl Into<String>,
        reservation: Bytes,
        values: impl IntoIterator<Item = Bytes>,
    ) -> Reply<i64> {
        let mut batch = OpenBatch::default();
        for value in values {
            batch.append(&value);
        }
        let request = v1::WriteItemsRequest {
            stream: stream.into(),
            // A writer of its own: when it is refused, nothing else is closed.
            writer: self.new_writer_number(),
            reservation,
            batch: Some(batch.into_proto()),
            identity: None,
        };
        self.request(Class::Mutation, request::Request::WriteItems(request), first_key_written)
    }
}

impl Writer {
    /// Appends an item with an automatic key.
    pub async fn write(&self, value: &[u8]) -> Result<()> {
        poll_fn(|context| self.poll_write(context, None, value)).await
    }

    /// Appends an item at that key.
    pub async fn write_keyed(&self, key: i64, value: &[u8]) -> Result<()> {
        poll_fn(|context| self.poll_write(context, Some(key), value)).await
    }

    /// As [`write`](Writer::write) and [`write_keyed`](Writer::write_keyed), for those who poll. Nothing is written
    /// when it is pending.
    pub fn poll_write(&self, context: &mut Context<'_>, key: Option<i64>, value: &[u8]) -> Poll<Result<()>> {
        self.check(value)?;
        let creations = self.fabric.hub().creations();
        let queue = {
            let mut state = lock(&self.shared.state);
            if let Some(error) = &state.error {
                return Poll::Ready(Err(error.clone()));
            }
            if state.bytes > 0 && state.bytes + value.len() > self.shared.bytes_in_flight {
                state.wakers.push(context.waker().clone());
                return Poll::Pending;
            }
            self.shared.append(&mut state, key, value, creations)
        };
        if queue {
            self.fabric.hub().push_batch(&self.shared);
        }
        Poll::Ready(Ok(()))
    }

    /// Appends an item if there is room for it: false if there is not. [`flush`](Writer::flush) or a write makes room.
    pub fn try_write(&self, key: Option<i64>, value: &[u8]) -> Result<bool> {
        let mut context = Context::from_waker(Waker::noop());
        match self.poll_write(&mut context, key, value) {
            Poll::Ready(outcome) => outcome.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Waits until everything written so far is in the stream.
    pub async fn flush(&self) -> Result<()> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    /// As [`flush`](Writer::flush), for those who poll.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = lock(&self.shared.state);
        if let Some(error) = &state.error {
            return Poll::Ready(Err(error.clone()));
        }
        if state.sent.is_empty() && state.sealed.is_empty() && state.open.count == 0 {
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(context.waker().clone());
        Poll::Pending
    }

    fn check(&self, value: &[u8]) -> Result<()> {
        match self.fabric.hub().value_bytes() {
            // Told here, one item fails; told by the server, the whole batch does.
            Some(limit) if value.len() as u64 > limit => {
                let message = format!(
                    "the item is {} bytes long, more than the {limit} that the Fabric takes; split it",
                    value.len()
                );
                Err(Error::new(ErrorKind::LimitExceeded, message).with("limit", limit))
            }
            _ => Ok(()),
        }
    }
}

impl WriterShared {
    /// Appends to the open batch, or opens another. True when a batch needs a place in the queue.
    fn append(&self, state: &mut WriterState, key: Option<i64>, value: &[u8], creations: u64) -> bool {
        let stale = state.queued.is_some_and(|queued| queued != creations);
        let full = state.open.values.len() + value.len() > BATCH_BYTES;
        let fits = state.open.takes(key, self.step, self.packed);
        if state.open.count > 0 && (stale || full || !fits) {
            let batch = std::mem::take(&mut state.open);
            // It has its place already: batches are queued when they get their first item.
            state.sealed.push_back(batch);
            state.queued = None;
        }
        let before = state.open.values.len();
        state.open.key(key, self.packed);
        state.open.append(value);
        state.bytes += state.open.values.len() - before;
        state.queued.replace(creations).is_none()
    }

    /// The pump has come to a place in the queue that this writer holds.
    pub(crate) fn seal(&self) -> Encoded {
        let batch = {
            let mut state = lock(&self.state);
            let batch = state.sealed.pop_front().unwrap_or_else(|| {
                state.queued = None;
                std::mem::take(&mut state.open)
            });
            let length = batch.values.len();
            state.sent.push_back(length);
            batch
        };
        self.encode(batch.into_proto())
    }

    /// Encodes the request with the values, which are large, left as they are.
    fn encode(&self, mut batch: ItemBatch) -> Encoded {
        let values = std::mem::take(&mut batch.values);
        let tagged = |field: u32, length: usize| {
            let mut head = BytesMut::with_capacity(16);
            encode_key(field, WireType::LengthDelimited, &mut head);
            encode_varint(length as u64, &mut head);
            head
        };
        // Field numbers as in `streams.proto` and `sessions.proto`; a test compares with the generated encoder.
        let values_head = tagged(4, values.len());
        let batch_length = batch.encoded_len() + values_head.len() + values.len();
        let batch_head = tagged(4, batch_length);
        let request = v1::WriteItemsRequest {
            stream: self.stream.clone(),
            writer: self.number,
            reservation: self.reservation.clone(),
            batch: None,
            identity: None,
        };
        let request_length = request.encoded_len() + batch_head.len() + batch_length;
        let request_head = tagged(32, request_length);
        let mut head = BytesMut::with_capacity(
            request_head.len() + request_length - values.len() + encoded_len_varint(u64::MAX),
        );
        head.put(request_head);
        head.put(Bytes::from(request.encode_to_vec()));
        head.put(batch_head);
        head.put(Bytes::from(batch.encode_to_vec()));
        head.put(values_head);
        Encoded { head: head.freeze(), tail: values }
    }

    /// A batch has been answered; batches are answered in their order, or fail all together. Gives those to wake.
    pub(crate) fn settled(&self, outcome: Result<()>) -> Vec<Waker> {
        let mut state = lock(&self.state);
        let bytes = state.sent.pop_front().unwrap_or(0);
        state.bytes = state.bytes.saturating_sub(bytes);
        if let Err(error) = outcome {
            // The first refusal is the reason; those behind it only say that the writer is closed.
            state.error.get_or_insert(error);
        }
        std::mem::take(&mut state.wakers)
    }
}

impl OpenBatch {
    /// Whether an item at that key can follow in the same batch.
    fn takes(&self, key: Option<i64>, step: i64, packed: bool) -> bool {
        match (&self.keys, key) {
            (Keys::Automatic, None) => true,
            (Keys::Run(_), Some(key)) => packed && self.last_key.checked_add(step) == Some(key),
            (Keys::Deltas(_), Some(key)) => key.checked_sub(self.last_key).is_some(),
            _ => false,
        }
    }

    /// Notes the key of the item that follows.
    fn key(&mut self, key: Option<i64>, packed: bool) {
        let Some(key) = key else { return };
        match &mut self.keys {
            Keys::Automatic if packed => self.keys = Keys::Run(key),
            Keys::Automatic => self.keys = Keys::Deltas(vec![key]),
            Keys::Run(_) => {}
            Keys::Deltas(deltas) => deltas.push(key.wrapping_sub(self.last_key)),
        }
        self.last_key = key;
    }

    fn append(&mut self, value: &[u8]) {
        encode_varint(value.len() as u64, &mut self.values);
        self.values.extend_from_slice(value);
        self.count += 1;
    }

    fn into_proto(self) -> ItemBatch {
        let (first_key, key_deltas) = match self.keys {
            Keys::Automatic => (None, Vec::new()),
            Keys::Run(key) => (Some(key), Vec::new()),
            Keys::Deltas(deltas) => (None, deltas),
        };
        ItemBatch { count: self.count, first_key, key_deltas, values: self.values.freeze() }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
