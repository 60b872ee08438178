use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use perper_proto::v1;
use perper_proto::v1::attach_listener_request::Start;
use perper_proto::v1::response::Response;
use perper_store::{MemoryStore, Space, Store};

use crate::engine::embedded::streams::batch::values;
use crate::engine::embedded::{Embedded, EmbeddedOptions};
use crate::engine::{
    AttachListener, Clock, Engine, Event, Identity, Items, Observer, Operation, Outcome, ReadItems, Request,
    SessionId, StreamRequest,
};

/// An engine, what it tells, and the store under it.
pub(super) struct Fixture {
    engine: Option<Arc<Embedded>>,
    pub(super) store: Arc<MemoryStore>,
    events: Arc<Events>,
    pub(super) options: EmbeddedOptions,
    sequence: u64,
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer for Events {
    fn notify(&self, events: Vec<Event>) {
        self.0.lock().unwrap().extend(events);
    }
}

/// The session of requests that do not say another.
pub(super) const SESSION: SessionId = SessionId(7);

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(adjust: impl FnOnce(&mut EmbeddedOptions)) -> Self {
        let mut options = EmbeddedOptions {
            cluster_id: 1,
            boot_epoch: 1,
            attempts: 16,
            tombstone_ms: 60_000,
            unheard_items: 1_000_000,
            unheard_bytes: u64::MAX,
            value_bytes: 1000,
            tail_cache_bytes: 1 << 20,
        };
        adjust(&mut options);
        let mut this = Self {
            engine: None,
            store: Arc::new(MemoryStore::new()),
            events: Arc::default(),
            options,
            sequence: 0,
        };
        this.restart();
        let (sender, receiver) = mpsc::channel();
        let hello = v1::HelloRequest::default();
        this.engine().open_session(SESSION, hello, Box::new(move |outcomes| sender.send(outcomes).unwrap()));
        receiver.recv().unwrap();
        this
    }

    /// Ends the engine, and begins another on what the store holds.
    pub(super) fn restart(&mut self) {
        self.engine = None;
        let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(&self.store);
        let engine = Embedded::open(store, None, Clock::start(), &self.options).unwrap();
        self.events = Arc::default();
        engine.observe(Arc::<Events>::clone(&self.events));
        self.engine = Some(engine);
    }

    pub(super) fn engine(&self) -> &Arc<Embedded> {
        self.engine.as_ref().unwrap()
    }

    /// What was told since the last time.
    pub(super) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.0.lock().unwrap())
    }

    pub(super) fn apply(&self, operations: Vec<Operation>) -> Vec<Outcome> {
        let (sender, receiver) = mpsc::channel();
        self.engine().apply(operations, Box::new(move |outcomes| sender.send(outcomes).unwrap()));
        let outcomes = receiver.recv().unwrap();
        // Events of a run are told after its outcomes, on the same thread: a second run comes after them.
        let get = v1::GetStreamRequest { stream: "fence".to_owned() };
        let request = Request::Stream(StreamRequest::Get(get));
        let (sender, receiver) = mpsc::channel();
        let fence = Operation { identity: None, request };
        self.engine().apply(vec![fence], Box::new(move |_| sender.send(()).unwrap()));
        receiver.recv().unwrap();
        outcomes
    }

    /// Carries out a request under an identity of its own.
    pub(super) fn send(&mut self, request: StreamRequest) -> Outcome {
        self.sequence += 1;
        self.send_as(SESSION, self.sequence, request)
    }

    pub(super) fn send_as(&self, session: SessionId, sequence: u64, request: StreamRequest) -> Outcome {
        let identity = Some(Identity { session, sequence });
        self.apply(vec![Operation { identity, request: Request::Stream(request) }]).remove(0)
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn create(&mut self, options: v1::StreamOptions) {
        self.send(create("s", options)).unwrap();
    }

    /// Writes to stream "s"; answers the first key, or the reason.
    pub(super) fn write(&mut self, batch: v1::ItemBatch) -> Result<i64, String> {
        first_key(self.send(write("s", 1, batch)))
    }

    /// Attaches a listener to stream "s"; names that begin with `#` stand for unnamed ones.
    pub(super) fn attach(&mut self, listener: &str, start: Option<Start>) -> v1::AttachListenerResponse {
        self.attach_as(SESSION, listener, start)
    }

    pub(super) fn attach_as(
        &mut self,
        session: SessionId,
        listener: &str,
        start: Option<Start>,
    ) -> v1::AttachListenerResponse {
        match self.send(attach(session, listener, start)).unwrap() {
            Some(Response::AttachListener(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn acknowledge(&mut self, listener: &str, epoch: u64, through: i64) {
        let (stream, listener) = ("s".to_owned(), listener.to_owned());
        self.send(StreamRequest::AcknowledgeItems { stream, listener, epoch, through }).unwrap();
    }

    pub(super) fn read(&self, from_key: i64, max_items: u64, max_bytes: u64) -> Items {
        let (sender, receiver) = mpsc::channel();
        let request = ReadItems { stream: Arc::from("s"), listener: None, from_key, max_items, max_bytes };
        self.engine().read_items(request, Box::new(move |items| sender.send(items).unwrap()));
        receiver.recv().unwrap().unwrap()
    }

    /// All that can be read of stream "s" from a key on, page by page.
    pub(super) fn read_all(&self, mut from_key: i64, max_items: u64) -> (Vec<(i64, Bytes)>, bool) {
        let mut all = Vec::new();
        loop {
            let page = self.read(from_key, max_items, u64::MAX);
            all.extend(items(&page));
            match page.last_key.filter(|_| page.count > 0) {
                _ if page.end.is_some() => return (all, true),
                Some(last_key) => from_key = last_key + 1,
                None => return (all, false),
            }
        }
    }

    pub(super) fn keys(&self, from_key: i64) -> Vec<i64> {
        self.read_all(from_key, u64::MAX).0.into_iter().map(|(key, _)| key).collect()
    }

    pub(super) fn stream(&self) -> v1::Stream {
        self.engine().view_stream("s").unwrap()
    }

    pub(super) fn stored(&self, space: Space) -> usize {
        self.store.range(space, perper_store::KeyRange::ALL, perper_store::Direction::Forward).count()
    }
}

pub(super) fn create(stream: &str, options: v1::StreamOptions) -> StreamRequest {
    StreamRequest::Create(v1::CreateStreamRequest {
        stream: stream.to_owned(),
        options: Some(options),
        ..Default::default()
    })
}

pub(super) fn write(stream: &str, writer: u64, batch: v1::ItemBatch) -> StreamRequest {
    StreamRequest::Write(v1::WriteItemsRequest {
        stream: stream.to_owned(),
        writer,
        batch: Some(batch),
        ..Default::default()
    })
}

pub(super) fn attach(session: SessionId, listener: &str, start: Option<Start>) -> StreamRequest {
    let name = if listener.starts_with('#') { "" } else { listener };
    let request = v1::AttachListenerRequest {
        stream: "s".to_owned(),
        name: name.to_owned(),
        start,
        ..Default::default()
    };
    StreamRequest::AttachListener(AttachListener { session, listener: listener.to_owned(), request })
}

pub(super) fn first_key(outcome: Outcome) -> Result<i64, String> {
    match outcome {
        Ok(Some(Response::WriteItems(response))) => Ok(response.first_key),
        Err(error) => Err(error.reason),
        other => panic!("{other:?}"),
    }
}

/// A batch of items that tell their keys' names.
pub(super) fn batch(first_key: Option<i64>, key_deltas: &[i64], values: &[&str]) -> v1::ItemBatch {
    let mut bytes = Vec::new();
    for value in values {
        prost::encode_length_delimiter(value.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(value.as_bytes());
    }
    v1::ItemBatch {
        count: values.len() as u32,
        first_key,
        key_deltas: key_deltas.to_vec(),
        values: bytes.into(),
    }
}

/// Consecutive items from a key on, each with its key as value.
pub(super) fn run(first_key: i64, count: i64, step: i64) -> v1::ItemBatch {
    let values: Vec<_> = (0..count).map(|at| (first_key + at * step).to_string()).collect();
    batch(Some(first_key), &[], &values.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The items of a page, with their keys.
pub(super) fn items(page: &Items) -> Vec<(i64, Bytes)> {
    let mut all = Vec::new();
    for batch in &page.batches {
        let mut key = batch.first_key.unwrap_or_default();
        for (at, value) in values(&batch.values).enumerate() {
            match batch.key_deltas.get(at) {
                Some(delta) => key = if at == 0 { *delta } else { key + delta },
                None if at > 0 => key += page.step as i64,
                None => {}
            }
            all.push((key, Bytes::copy_from_slice(value)));
        }
    }
    all
}

pub(super) fn packed(stride: u64, first_key: i64) -> v1::StreamOptions {
    v1::StreamOptions { stride, first_key, ..Default::default() }
}

pub(super) fn persistent() -> v1::StreamOptions {
    v1::StreamOptions { persistent: true, ..Default::default() }
}
