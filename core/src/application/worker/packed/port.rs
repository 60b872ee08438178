use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as Poller, Poll, Waker},
};

use bytes::Bytes;
use futures_util::{
    future::{AbortHandle, Abortable},
    stream::{FuturesUnordered, Stream as _},
};

use super::{
    answer::{Answer, Pending},
    cursor::{Cursor, malformed},
    packer::Packer,
    request::{self, Answering},
};
use crate::{
    Result,
    application::worker::{Event, Outcome, Worker, WorkerOptions},
    extensions::{Connection, Context},
    protocol::{Fabric, ListenFrom, Listener, ListenerOptions, Writer, WriterOptions},
};

/// The core as the event loop of another language sees it: one queue out, one queue in, both in packed batches. The
/// [module](super) describes them.
///
/// Cheap to clone. One consumer waits and drains; anybody submits.
#[derive(Clone)]
pub struct Port {
    shared: Arc<Shared>,
}

struct Shared {
    fabric: Fabric,
    /// `None` for a program that is no agent.
    worker: Option<Worker>,
    /// Whether the worker's events come here; otherwise they come to the port that this one is beside of.
    events: bool,
    // A std mutex: held while bytes are read and written, never across an await.
    state: Mutex<State>,
}

type Answered = Abortable<Pin<Box<dyn Future<Output = (u64, Result<Answer>)> + Send>>>;

#[derive(Default)]
struct State {
    requests: FuturesUnordered<Answered>,
    /// For requests that may be cancelled.
    handles: HashMap<u64, AbortHandle>,
    /// Locked only for a moment at a time: by the future of the next batch, or by an acknowledgement.
    listeners: HashMap<u64, Arc<Mutex<Listener>>>,
    writers: HashMap<u64, Arc<Writer>>,
    pending: VecDeque<Pending>,
    /// Whoever waits in `ready`.
    waker: Option<Waker>,
    over: bool,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("worker", &self.shared.worker).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port {
    /// How many threads the runtime under a port is best given: half of the processors, from 1 to 4.
    ///
    /// The other language works beside them, and is the slower one. With a thread for each processor the two take turns,
    /// and a call costs both more: on two processors, Node to Node is a tenth slower so.
    pub fn runtime_threads() -> usize {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (processors / 2).clamp(1, 4)
    }

    /// For a program that is no agent: requests and their completions only.
    pub fn new(fabric: Fabric) -> Self {
        Port { shared: Arc::new(Shared::new(fabric, None, false)) }
    }

    /// Serves an agent. Must be called within a tokio runtime.
    pub fn serve(fabric: Fabric, options: WorkerOptions) -> Result<Self> {
        let worker = Worker::over(Arc::new(Connection::new(fabric.clone())), options)?;
        Ok(Port { shared: Arc::new(Shared::new(fabric, Some(worker), true)) })
    }

    /// A port with queues of its own for requests on behalf of the same invocations: for a thread that waits for its
    /// answer by itself, or another event loop. The worker's events stay where they are.
    #[must_use]
    pub fn beside(&self) -> Self {
        let shared = &self.shared;
        Port { shared: Arc::new(Shared::new(shared.fabric.clone(), shared.worker.clone(), false)) }
    }

    /// A writer that was opened here (operation 30), for a binding that can write item after item without a batch of its
    /// own. What was written through either way is in one order.
    pub fn writer(&self, writer: u64) -> Option<Arc<Writer>> {
        lock(&self.shared.state).writers.get(&writer).cloned()
    }

    /// The connection: for ids, and for what needs no event loop.
    pub fn fabric(&self) -> &Fabric {
        &self.shared.fabric
    }

    /// Waits until there is something to drain. Nothing is taken here: dropping the future loses nothing, and it may be
    /// waited for again without draining.
    pub async fn ready(&self) {
        poll_fn(|poller| self.poll_ready(poller)).await;
    }

    /// As [`ready`](Port::ready), for those who poll.
    pub fn poll_ready(&self, poller: &mut Poller<'_>) -> Poll<()> {
        let mut state = lock(&self.shared.state);
        state.waker = Some(poller.waker().clone());
        self.shared.gather(&mut state, poller);
        if state.pending.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Takes what waits, at most that many bytes of it, but at least one record if there is any. Empty when nothing
    /// waits: then, and only then, wait for [`ready`](Port::ready).
    pub fn drain(&self, max_bytes: usize) -> Vec<u8> {
        let mut state = lock(&self.shared.state);
        let waker = state.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        self.shared.gather(&mut state, &mut Poller::from_waker(&waker));
        let mut packer = Packer::default();
        while packer.len() < max_bytes
            && let Some(pending) = state.pending.pop_front()
        {
            pending.pack(&mut packer);
        }
        packer.into_bytes()
    }

    /// Hands over answers and requests. It fails only where the batch is malformed, which is a fault of the binding;
    /// what was before the fault in the batch has been done.
    pub fn submit(&self, batch: impl Into<Bytes>) -> Result<()> {
        let mut cursor = Cursor::new(batch.into());
        let cork = self.shared.fabric.hub().cork();
        let mut state = lock(&self.shared.state);
        let mut outcome = Ok(());
        while !cursor.is_empty() && outcome.is_ok() {
            outcome = cursor.record().and_then(|mut record| self.shared.take(&mut state, &mut record));
        }
        // A first step here and now, so that outcomes are on their way although nobody may be waiting.
        let waker = state.waker.clone().unwrap_or_else(|| Waker::noop().clone());
        self.shared.gather(&mut state, &mut Poller::from_waker(&waker));
        let news = !state.pending.is_empty();
        drop(state);
        drop(cork);
        if news {
            waker.wake();
        }
        outcome
    }
}

impl Shared {
    fn new(fabric: Fabric, worker: Option<Worker>, events: bool) -> Self {
        Shared { fabric, worker, events, state: Mutex::default() }
    }

    /// Collects what has come.
    fn gather(&self, state: &mut State, poller: &mut Poller<'_>) {
        if let Some(worker) = &self.worker
            && self.events
            && !state.over
        {
            while let Poll::Ready(events) = worker.poll_events(poller) {
                state.over |= matches!(events.last(), Some(Event::Shutdown(_)));
                state.pending.extend(events.into_iter().map(Pending::Event));
                if state.over {
                    break;
                }
            }
        }
        while let Poll::Ready(Some(answered)) = Pin::new(&mut state.requests).poll_next(poller) {
            // A request that was cancelled has no answer.
            let Ok((request, outcome)) = answered else { continue };
            state.handles.remove(&request);
            if request != 0 {
                state.pending.push_back(Pending::Completion(request, outcome));
            } else if let Err(error) = outcome {
                tracing::error!(%error, "a request that nobody waited for failed");
            }
        }
    }

    /// Carries one record out.
    fn take(&self, state: &mut State, record: &mut Cursor) -> Result<()> {
        let operation = record.u8()?;
        let request = record.u64()?;
        match self.perform(state, operation, request, record) {
            Ok(Some(answering)) => {
                state.begin(request, answering);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.with("operation", operation)),
        }
    }

    fn perform(
        &self,
        state: &mut State,
        operation: u8,
        request: u64,
        record: &mut Cursor,
    ) -> Result<Option<Answering>> {
        let fabric = &self.fabric;
        let answering = match operation {
            1 => return self.conclude(record.u64()?, Outcome::Completed(record.values()?)).map(Some),
            2 => {
                let invocation = record.u64()?;
                return self.conclude(invocation, Outcome::Failed(request::failure(record)?)).map(Some);
            }
            3 => return self.conclude(record.u64()?, Outcome::Released).map(Some),
            4 => {
                if let Some(handle) = state.handles.remove(&record.u64()?) {
                    handle.abort();
                }
                return Ok(None);
            }
            5 => {
                self.worker()?.stop();
                return Ok(None);
            }
            6 => {
                self.worker()?.release_all();
                return Ok(None);
            }
            7 => {
                self.worker()?.grant(record.u64()?);
                return Ok(None);
            }
            10 | 11 => {
                let context = record_context(self, record)?;
                match operation {
                    10 => request::call(record, fabric, context.as_ref())?,
                    _ => request::start_instance(record, fabric, context.as_ref())?,
                }
            }
            12 => request::stop_instance(record, fabric)?,
            13 | 20 | 40 | 50 => {
                let context = record_context(self, record)?;
                let creation = match operation {
                    13 => request::create_execution(record, fabric, context.as_ref())?,
                    20 => request::create_stream(record, fabric)?,
                    40 => request::create_dictionary(record, fabric)?,
                    _ => request::create_list(record, fabric)?,
                };
                match context {
                    // Nobody waits: its failure fails the execution.
                    Some(context) if request == 0 && context.running().is_some() => {
                        context.created(async move { creation.await.map(drop) });
                        return Ok(None);
                    }
                    _ => creation,
                }
            }
            14..=17 => request::execution(operation, record, fabric)?,
            21..=27 => {
                let context = record_context(self, record)?;
                request::stream(operation, record, fabric, context.as_ref())?
            }
            30 => {
                self.open_writer(state, record)?;
                return Ok(None);
            }
            34 => request::write_item(record, fabric)?,
            31..=33 => return write(state, operation, record),
            35 => self.attach_listener(state, record)?,
            36..=38 => return listen(state, operation, record),
            41 => request::update_dictionary(record, fabric)?,
            42 => request::enumerate_dictionary(record, fabric)?,
            51 => request::update_list(record, fabric)?,
            52 => request::enumerate_list(record, fabric)?,
            43 | 53 => request::destroy(operation, record, fabric)?,
            other => return Err(malformed(&format!("there is no operation {other}"))),
        };
        Ok(Some(answering))
    }

    fn worker(&self) -> Result<&Worker> {
        self.worker.as_ref().ok_or_else(|| malformed("this program serves no agent"))
    }

    fn conclude(&self, invocation: u64, outcome: Outcome) -> Result<Answering> {
        let concluding = self.worker()?.begin_complete(invocation, outcome);
        Ok(Box::pin(async move {
            concluding.await;
            Ok(Answer::Nothing)
        }))
    }

    fn open_writer(&self, state: &mut State, record: &mut Cursor) -> Result<()> {
        let context = record_context(self, record)?;
        let reservation =
            context.as_ref().and_then(Context::running).map(|execution| execution.reservation.clone());
        let (writer, stream, stride) = (record.u64()?, record.text()?, record.u64()?);
        let options = WriterOptions {
            reservation: reservation.unwrap_or_default(),
            stride,
            ..WriterOptions::new(stream)
        };
        state.writers.insert(writer, Arc::new(self.fabric.writer(options)));
        Ok(())
    }

    fn attach_listener(&self, state: &mut State, record: &mut Cursor) -> Result<Answering> {
        let number = record.u64()?;
        let mut options = ListenerOptions::new(record.text()?);
        options.name = record.text()?;
        options.owner = record.optional_text()?;
        let (from, key) = (record.u8()?, record.i64()?);
        options.from = match from {
            0 => ListenFrom::Latest,
            1 => ListenFrom::Beginning,
            2 => ListenFrom::Key(key),
            other => return Err(malformed(&format!("a listener cannot start at {other}"))),
        };
        let (items, bytes) = (record.u64()?, record.u64()?);
        if items > 0 {
            options.items = items;
        }
        if bytes > 0 {
            options.bytes = bytes;
        }
        options.local_to_data = record.bool()?;
        let listener = Arc::new(Mutex::new(self.fabric.attach_listener(options)));
        state.listeners.insert(number, listener.clone());
        Ok(Box::pin(async move {
            poll_fn(|poller| lock(&listener).poll_attached(poller)).await.map(Answer::Attached)
        }))
    }
}

/// The context of the invocation that a record names; none for 0, and for one that is over.
fn record_context(shared: &Shared, record: &mut Cursor) -> Result<Option<Context>> {
    let invocation = record.u64()?;
    Ok(shared.worker.as_ref().and_then(|worker| worker.context(invocation)))
}

fn write(state: &mut State, operation: u8, record: &mut Cursor) -> Result<Option<Answering>> {
    let number = record.u64()?;
    if operation == 33 {
        state.writers.remove(&number);
        return Ok(None);
    }
    let writer = state.writers.get(&number).cloned();
    let writer = writer.ok_or_else(|| malformed(&format!("there is no writer {number}")))?;
    if operation == 32 {
        return Ok(Some(Box::pin(async move { writer.flush().await.map(|()| Answer::Nothing) })));
    }
    let keyed = record.bool()?;
    let items = record.list(|record| {
        let key = if keyed { Some(record.i64()?) } else { None };
        Ok((key, record.bytes()?))
    })?;
    // As far as there is room it is done here, in the order of submission; the rest waits in that order, too, since a
    // binding submits no more until it has the answer.
    let mut written = 0;
    for (key, value) in &items {
        match writer.try_write(*key, value) {
            Ok(true) => written += 1,
            Ok(false) => break,
            Err(error) => return Ok(Some(Box::pin(async move { Err(error) }))),
        }
    }
    Ok(Some(Box::pin(async move {
        for (key, value) in &items[written..] {
            match key {
                Some(key) => writer.write_keyed(*key, value).await?,
                None => writer.write(value).await?,
            }
        }
        Ok(Answer::Nothing)
    })))
}

fn listen(state: &mut State, operation: u8, record: &mut Cursor) -> Result<Option<Answering>> {
    let number = record.u64()?;
    if operation == 38 {
        state.listeners.remove(&number);
        return Ok(None);
    }
    let listener = state.listeners.get(&number).cloned();
    let listener = listener.ok_or_else(|| malformed(&format!("there is no listener {number}")))?;
    if operation == 37 {
        let key = record.i64()?;
        lock(&listener).processed(key);
        return Ok(None);
    }
    Ok(Some(Box::pin(async move {
        let batch = poll_fn(|poller| lock(&listener).poll_next_batch(poller)).await?;
        Ok(match batch {
            Some(batch) => Answer::Items(batch),
            None => Answer::End(lock(&listener).end().map_or(0, |end| end.skipped)),
        })
    })))
}

impl State {
    fn begin(&mut self, request: u64, answering: Answering) {
        let answered: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { (request, answering.await) });
        let (handle, registration) = AbortHandle::new_pair();
        self.requests.push(Abortable::new(answered, registration));
        if request != 0 {
            self.handles.insert(request, handle);
        }
    }
}
