use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use perper_proto::v1::{self, ItemBatch, attach_listener_request::Start, request};

use super::{
    fabric::Fabric,
    hub::lock,
    machines::{
        credit::{Amount, Credit},
        listener::{self, Attachment, Place},
    },
    request::Encoded,
    streams::{StreamEnd, StreamOptions},
    subscriptions::Subscription,
};
use crate::{Error, ErrorKind, Result};

/// Where a listener starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenFrom {
    /// After the last key at the time of attaching; on an ephemeral stream the first listener starts at the first item
    /// kept instead.
    #[default]
    Latest,
    /// At the first item kept.
    Beginning,
    /// At that key, inclusive.
    Key(i64),
}

/// How to listen to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerOptions {
    /// The stream's id.
    pub stream: String,
    /// A name makes the listener durable: its place is kept until `remove_listener` or the end of its owner. Empty:
    /// none.
    pub name: String,
    /// The instance that a named listener belongs to.
    pub owner: Option<String>,
    /// Where a new listener starts; a named one that exists goes on where it was acknowledged.
    pub from: ListenFrom,
    /// The window of credit, in items.
    pub items: u64,
    /// The window of credit, in bytes of items. Cut to what the server takes, and never less than its largest value.
    pub bytes: u64,
    /// Only items local to the server that serves this session.
    pub local_to_data: bool,
}

impl ListenerOptions {
    /// An unnamed listener from the latest item on.
    pub fn new(stream: impl Into<String>) -> Self {
        ListenerOptions {
            stream: stream.into(),
            name: String::new(),
            owner: None,
            from: ListenFrom::Latest,
            items: 65_536,
            bytes: 16 << 20,
            local_to_data: false,
        }
    }
}

/// An item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: i64,
    /// Its value, CBOR: a slice of the batch that brought it.
    pub value: Bytes,
}

/// A run of items as it was written, with an iterator that copies nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    batch: ItemBatch,
    /// How many items have been taken.
    taken: usize,
    key: i64,
    step: i64,
}

impl Batch {
    pub(crate) fn new(batch: ItemBatch, step: i64) -> Option<Self> {
        let key = listener::first_key(&batch)?;
        Some(Batch { batch, taken: 0, key, step })
    }

    /// The key of the last item.
    pub fn last_key(&self) -> i64 {
        // A batch is never empty.
        listener::last_key(&self.batch, self.step).unwrap_or(self.key)
    }

    /// Every value that is left, end to end, each preceded by its length as a base-128 varint: for bindings that cross
    /// a boundary once per batch.
    pub fn packed_values(&self) -> &Bytes {
        &self.batch.values
    }

    fn advance(&mut self) {
        self.taken += 1;
        let delta = self.batch.key_deltas.get(self.taken).copied();
        self.key = self.key.wrapping_add(delta.unwrap_or(self.step));
    }
}

impl Iterator for Batch {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.taken >= self.batch.count as usize {
            return None;
        }
        let value = listener::take_value(&mut self.batch.values)?;
        let key = self.key;
        self.advance();
        Some(Item { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.count as usize - self.taken;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batch {}

pub(crate) struct ItemsShared {
    options: ListenerOptions,
    state: Mutex<ItemsState>,
}

struct ItemsState {
    place: Place,
    credit: Credit,
    batches: VecDeque<ItemBatch>,
    attachment: Option<Attachment>,
    stream_options: StreamOptions,
    /// Told after the batches.
    end: Option<Result<StreamEnd>>,
    waker: Option<Waker>,
}

impl fmt::Debug for ItemsShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What the hub tells a listener. Each gives the consumer to wake, for when the hub's lock is free again.
impl ItemsShared {
    /// The request for a new connection.
    pub(crate) fn begin(&self, place: u64) -> Encoded {
        let mut state = lock(&self.state);
        let grant = state.credit.begin();
        let start = state.place.start();
        drop(state);
        self.attach(place, start, grant)
    }

    /// The request that finds a listener again only to let it go.
    pub(crate) fn begin_leaving(&self, place: u64) -> Encoded {
        let start = lock(&self.state).place.start();
        self.attach(place, start, Amount::default())
    }

    fn attach(&self, place: u64, start: Start, grant: Amount) -> Encoded {
        Encoded::new(request::Request::AttachListener(v1::AttachListenerRequest {
            stream: self.options.stream.clone(),
            name: self.options.name.clone(),
            owner: self.options.owner.clone().map(|instance| v1::Owner { instance }),
            start: Some(start),
            credit_items: grant.count,
            credit_bytes: grant.bytes,
            local_to_data: self.options.local_to_data,
            place,
        }))
    }

    pub(crate) fn is_named(&self) -> bool {
        !self.options.name.is_empty()
    }

    /// Nothing more comes. Acknowledgements still go.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).end.is_some()
    }

    /// The server has ended it, and knows nothing of it any more.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(lock(&self.state).end, Some(Err(_)))
    }

    pub(crate) fn attached(&self, response: &v1::AttachListenerResponse) -> Option<Waker> {
        let mut state = lock(&self.state);
        let again = state.attachment.is_some();
        let mut attachment = state.place.attached(response);
        if let Some(first) = state.attachment {
            attachment = Attachment {
                start_key: first.start_key,
                items_removed: first.items_removed || attachment.items_removed,
            };
        }
        state.attachment = Some(attachment);
        state.stream_options = response.options.clone().unwrap_or_default().into();
        if again && response.items_removed {
            let message = format!(
                "items of stream {:?} that this listener had not received were removed while it was not connected",
                self.options.stream
            );
            let error = Error::new(ErrorKind::ItemsRemoved, message);
            state.end.get_or_insert(Err(error.with("stream", &self.options.stream)));
        }
        state.waker.take()
    }

    pub(crate) fn delivered(&self, batches: Vec<ItemBatch>) -> Option<Waker> {
        let mut state = lock(&self.state);
        for batch in batches {
            let came = Amount { count: u64::from(batch.count), bytes: batch.values.len() as u64 };
            state.credit.used(came);
            let left = match state.place.receive(batch) {
                Some(batch) => {
                    let left = Amount { count: u64::from(batch.count), bytes: batch.values.len() as u64 };
                    state.batches.push_back(batch);
                    left
                }
                None => Amount::default(),
            };
            state.credit.give_back(Amount { count: came.count - left.count, bytes: came.bytes - left.bytes });
        }
        state.waker.take()
    }

    pub(crate) fn ended(&self, end: Result<StreamEnd>) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.end.get_or_insert(end);
        state.waker.take()
    }

    /// The credit and the acknowledgement to send, if there is any news.
    pub(crate) fn grant(&self) -> Option<(Amount, Option<i64>)> {
        let mut state = lock(&self.state);
        (state.credit.has_returned() || state.place.has_acknowledgement())
            .then(|| (state.credit.take(), state.place.take_acknowledgement()))
    }
}

/// The items of a stream, in order, each once.
///
/// Asking for the next item says that the last one is processed: a named listener that comes back after a crash goes
/// on behind the last one said so. Dropping the listener detaches without waiting and acknowledges nothing more: an
/// unnamed one is gone, a named one keeps its place. A reconnect does not show.
pub struct Listener {
    fabric: Fabric,
    shared: Arc<ItemsShared>,
    id: u64,
    /// The batch that is being iterated.
    current: Option<Batch>,
    /// Handed out and not yet said to be processed.
    last: Option<i64>,
    /// Processed since the last flush.
    processed: Option<i64>,
    done: Amount,
    flushed: Instant,
    end: Option<StreamEnd>,
}

/// How long an acknowledgement may stay here while items wait to be taken; a listener that runs dry flushes at once.
const FLUSH: Duration = Duration::from_millis(50);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl Fabric {
    /// Attaches a listener to a stream. The request goes out at once; [`Listener::attached`] waits for its answer.
    pub fn attach_listener(&self, options: ListenerOptions) -> Listener {
        let start = match options.from {
            ListenFrom::Latest => Start::Latest(true),
            ListenFrom::Beginning => Start::Beginning(true),
            ListenFrom::Key(key) => Start::Key(key),
        };
        let window = self.hub().cut_listener(Amount { count: options.items, bytes: options.bytes });
        let shared = Arc::new(ItemsShared {
            options,
            state: Mutex::new(ItemsState {
                place: Place::new(start),
                credit: Credit::new(window),
                batches: VecDeque::new(),
                attachment: None,
                stream_options: StreamOptions::default(),
                end: None,
                waker: None,
            }),
        });
        let id = self.hub().subscribe(Subscription::Items(shared.clone()));
        Listener {
            fabric: self.clone(),
            shared,
            id,
            current: None,
            last: None,
            processed: None,
            done: Amount::default(),
            flushed: Instant::now(),
            end: None,
        }
    }
}

/// Where a listener began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStart {
    /// The first key that could come.
    pub start_key: i64,
    /// The key asked for had been removed.
    pub items_removed: bool,
    /// What kind of stream it is.
    pub options: StreamOptions,
}

impl Listener {
    /// Waits until the listener is attached, and tells where it began.
    pub async fn attached(&mut self) -> Result<ListenerStart> {
        poll_fn(|context| self.poll_attached(context)).await
    }

    /// As [`attached`](Listener::attached), for those who poll.
    pub fn poll_attached(&mut self, context: &mut Context<'_>) -> Poll<Result<ListenerStart>> {
        let mut state = lock(&self.shared.state);
        match (&state.attachment, &state.end) {
            (Some(attachment), _) => Poll::Ready(Ok(ListenerStart {
                start_key: attachment.start_key,
                items_removed: attachment.items_removed,
                options: state.stream_options.clone(),
            })),
            (None, Some(Err(error))) => Poll::Ready(Err(error.clone())),
            (None, _) => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next item; `None` when the stream has ended well. The error is the stream's when it ended with one.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Listener::next), for those who poll.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        loop {
            if let Some(key) = self.last.take() {
                self.processed = Some(key);
            }
            if let Some(batch) = &mut self.current {
                let before = batch.packed_values().len();
                if let Some(item) = batch.next() {
                    self.done.count += 1;
                    self.done.bytes += (before - batch.packed_values().len()) as u64;
                    self.last = Some(item.key);
                    if self.flushed.elapsed() >= FLUSH {
                        self.flush(true);
                    }
                    return Poll::Ready(Ok(Some(item)));
                }
                self.current = None;
            }
            match ready!(self.poll_batch(context))? {
                Some(batch) => self.current = Some(batch),
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// The next run of items whole (or what is left of the one that [`next`](Listener::next) is in): the fast way.
    /// Asking for the next run says that this one is processed.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>> {
        poll_fn(|context| self.poll_next_batch(context)).await
    }

    /// As [`next_batch`](Listener::next_batch), for those who poll.
    pub fn poll_next_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        if let Some(key) = self.last.take() {
            self.processed = Some(key);
        }
        let batch = match self.current.take().filter(|batch| batch.len() > 0) {
            Some(batch) => batch,
            None => match ready!(self.poll_batch(context))? {
                Some(batch) => batch,
                None => return Poll::Ready(Ok(None)),
            },
        };
        self.done.count += batch.len() as u64;
        self.done.bytes += batch.packed_values().len() as u64;
        self.last = Some(batch.last_key());
        Poll::Ready(Ok(Some(batch)))
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Batch>>> {
        loop {
            // Between batches is a good time to say how far we are; having run dry, the time is now.
            let dry = lock(&self.shared.state).batches.is_empty();
            self.flush(dry || self.flushed.elapsed() >= FLUSH);
            let mut state = lock(&self.shared.state);
            let step = state.place.step();
            if let Some(batch) = state.batches.pop_front() {
                match Batch::new(batch, step) {
                    Some(batch) => return Poll::Ready(Ok(Some(batch))),
                    None => continue,
                }
            }
            return match &state.end {
                Some(Ok(end)) => {
                    self.end = Some(end.clone());
                    match &end.error {
                        Some(error) => Poll::Ready(Err(error.clone())),
                        None => Poll::Ready(Ok(None)),
                    }
                }
                Some(Err(error)) => Poll::Ready(Err(error.clone())),
                None => {
                    state.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            };
        }
    }

    /// Says now, not in a moment, that everything asked for before the last item is processed; with `through_last`
    /// that the last one is, too.
    pub fn acknowledge(&mut self, through_last: bool) {
        if through_last && let Some(key) = self.last.take() {
            self.processed = Some(key);
        }
        self.flush(true);
    }

    /// Says that everything through that key is processed: for those who take whole runs and go through them one by one.
    pub fn processed(&mut self, key: i64) {
        if self.last.is_some_and(|last| last <= key) {
            self.last = None;
        }
        self.processed = Some(key);
        self.flush(self.flushed.elapsed() >= FLUSH);
    }

    /// How the stream ended, once `next` has told that it did: with the number of gaps skipped.
    pub fn end(&self) -> Option<&StreamEnd> {
        self.end.as_ref()
    }

    /// Moves what this side has counted to where the hub finds it, and calls the hub if that is worth a frame.
    fn flush(&mut self, now: bool) {
        let worth = {
            let mut state = lock(&self.shared.state);
            if let Some(key) = self.processed.take() {
                state.place.process(key);
            }
            let worth = state.credit.give_back(std::mem::take(&mut self.done));
            worth || (now && (state.place.has_acknowledgement() || state.credit.has_returned()))
        };
        if worth {
            self.fabric.hub().credit(self.id);
        }
        if worth || now {
            self.flushed = Instant::now();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // What was asked past is processed, although it has not been said yet.
        if let Some(key) = self.processed.take() {
            lock(&self.shared.state).place.process(key);
        }
        self.fabric.hub().detach(self.id);
    }
}
