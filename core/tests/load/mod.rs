//! Calls and items without a pause, each counted, over whatever is done to the connections below.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use perper::{
    Result,
    protocol::{
        Activation, ExecutionFilter, Fabric, ListenEvent, ListenFrom, ListenOptions, ListenerOptions,
        NewExecution, NewStream, WriterOptions,
    },
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// Calls whose handlers run from before the fault until after it.
const HELD: i64 = 16;
/// Callers that call again as soon as they have a result.
const CALLERS: usize = 8;
/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Load {
    shared: Arc<Shared>,
    calls: JoinSet<Result<()>>,
    serving: JoinHandle<Result<()>>,
    writing: JoinHandle<Result<i64>>,
    reading: JoinHandle<Result<i64>>,
}

struct Shared {
    next: AtomicI64,
    /// How often each call came to a handler.
    handled: Mutex<BTreeMap<i64, u32>>,
    completed: watch::Sender<u64>,
    read: watch::Sender<i64>,
    /// Handlers of the held calls may return.
    release: watch::Sender<bool>,
    /// No new calls and items.
    stop: watch::Sender<bool>,
    /// Everything has been checked.
    done: watch::Sender<bool>,
}

fn cbor(value: i64) -> Bytes {
    perper_values::to_vec(&value).expect("encodes").into()
}

fn number(value: &Bytes) -> i64 {
    perper_values::from_slice(value).expect("decodes")
}

impl Load {
    /// Starts the load, and returns when all parts of it are under way.
    pub(crate) async fn start(caller: &Fabric, worker: &Fabric) -> Self {
        let shared = Arc::new(Shared {
            next: HELD.into(),
            handled: Mutex::default(),
            completed: watch::Sender::new(0),
            read: watch::Sender::new(0),
            release: watch::Sender::new(false),
            stop: watch::Sender::new(false),
            done: watch::Sender::new(false),
        });
        caller.create_stream(NewStream::new("s")).await.expect("a stream");
        let mut listener = worker
            .attach_listener(ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new("s") });
        listener.attached().await.expect("a listener");
        let mut calls = JoinSet::new();
        for number in 0..HELD {
            calls.spawn(call(caller.clone(), number));
        }
        for _ in 0..CALLERS {
            calls.spawn(keep_calling(caller.clone(), shared.clone()));
        }
        let load = Load {
            calls,
            serving: tokio::spawn(serve(worker.clone(), shared.clone())),
            writing: tokio::spawn(write(caller.clone(), shared.clone())),
            reading: tokio::spawn(read(listener, shared.clone())),
            shared,
        };
        load.goes_on().await;
        load
    }

    /// Waits until calls and items that were begun from now on have arrived, so that what broke is mended.
    pub(crate) async fn goes_on(&self) {
        let mut completed = self.shared.completed.subscribe();
        let more = *completed.borrow() + 10 * CALLERS as u64;
        let waiting = timeout(PATIENCE, completed.wait_for(|completed| *completed >= more)).await;
        waiting.expect("calls go on").expect("the load holds the sender");
        let mut read = self.shared.read.subscribe();
        let more = *read.borrow() + 200;
        let waiting = timeout(PATIENCE, read.wait_for(|read| *read >= more)).await;
        waiting.expect("items go on").expect("the load holds the sender");
    }

    /// Ends the load. No call was repeated or lost, no handler cancelled, no item doubled or lost.
    pub(crate) async fn check(mut self) {
        self.shared.release.send_replace(true);
        self.shared.stop.send_replace(true);
        let ending = async {
            while let Some(call) = self.calls.join_next().await {
                call.expect("no panic").expect("every call has its result");
            }
            let written = self.writing.await.expect("no panic").expect("every item is taken");
            let read = self.reading.await.expect("no panic").expect("every item comes");
            assert_eq!(read, written);
            self.shared.done.send_replace(true);
            self.serving.await.expect("no panic").expect("every completion is taken");
        };
        timeout(PATIENCE, ending).await.expect("the load comes to its end");
        let handled = self.shared.handled.lock().expect("no panic");
        assert_eq!(handled.len() as i64, self.shared.next.load(Ordering::SeqCst), "every call was handled");
        let repeated: Vec<_> = handled.iter().filter(|(_, times)| **times != 1).collect();
        assert!(repeated.is_empty(), "calls that were handled more than once: {repeated:?}");
        println!("{} calls", handled.len());
    }
}

async fn call(caller: Fabric, argument: i64) -> Result<()> {
    let execution = NewExecution {
        agent: "Load".into(),
        delegate: "Double".into(),
        arguments: vec![cbor(argument)],
        ..NewExecution::new(caller.new_id())
    };
    assert_eq!(caller.call_execution(execution).await?, [cbor(2 * argument)]);
    Ok(())
}

async fn keep_calling(caller: Fabric, shared: Arc<Shared>) -> Result<()> {
    while !*shared.stop.borrow() {
        call(caller.clone(), shared.next.fetch_add(1, Ordering::SeqCst)).await?;
        shared.completed.send_modify(|completed| *completed += 1);
    }
    Ok(())
}

async fn serve(worker: Fabric, shared: Arc<Shared>) -> Result<()> {
    let filter = ExecutionFilter { agent: "Load".into(), ..ExecutionFilter::default() };
    let mut listening =
        worker.listen(ListenOptions { filters: vec![filter], executions: 64, ..ListenOptions::default() });
    let mut done = shared.done.subscribe();
    let mut handlers = JoinSet::new();
    loop {
        let events = tokio::select! {
            events = listening.next() => events?.expect("the listen goes on"),
            _ = done.wait_for(|done| *done) => break,
        };
        for event in events {
            match event {
                ListenEvent::Activation(activation) => {
                    handlers.spawn(handle(worker.clone(), *activation, shared.clone()));
                }
                ListenEvent::StartReached => {}
                ListenEvent::Revocation { reason, .. } => panic!("a handler was cancelled: {reason}"),
            }
        }
    }
    while let Some(handled) = handlers.join_next().await {
        handled.expect("no panic")?;
    }
    Ok(())
}

async fn handle(worker: Fabric, taken: Activation, shared: Arc<Shared>) -> Result<()> {
    let argument = number(&taken.arguments[0]);
    *shared.handled.lock().expect("no panic").entry(argument).or_default() += 1;
    if argument < HELD {
        let mut release = shared.release.subscribe();
        drop(release.wait_for(|release| *release).await);
    }
    worker.complete_execution(taken.execution, taken.reservation, Ok(vec![cbor(2 * argument)])).await
}

async fn write(source: Fabric, shared: Arc<Shared>) -> Result<i64> {
    let writer = source.writer(WriterOptions::new("s"));
    let mut written = 0;
    while !*shared.stop.borrow() {
        for _ in 0..20 {
            writer.write(&cbor(written)).await?;
            written += 1;
        }
        writer.flush().await?;
    }
    source.complete_stream("s", Bytes::new(), None).await?;
    Ok(written)
}

async fn read(mut listener: perper::protocol::Listener, shared: Arc<Shared>) -> Result<i64> {
    let mut expected = 0;
    while let Some(item) = listener.next().await? {
        assert_eq!(number(&item.value), expected, "in order, none twice, none left out");
        expected += 1;
        shared.read.send_replace(expected);
    }
    Ok(expected)
}
