//! Nothing is shown to anyone before it is as durable as configured: the embedded engine over a store whose commits the
//! test holds back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use perper_proto::v1;
use perper_store::{
    Direction, Durability, Entries, KeyRange, MemoryStore, Result, Space, Store, StoreKind, WriteBatch,
};

use super::data::{create_stream, persistent, write};
use super::executions::{call, complete, create};
use super::fixture::{Ask, SESSION};
use super::stores::embedded;
use crate::engine::{
    Claim, Engine, Event, ExecutionQuery, ExecutionRequest, Identity, Observer, Operation, Outcome,
    ReadItems, Reservation, StreamRequest,
};

/// A store whose commits wait while the gate is shut.
#[derive(Default)]
struct Gated {
    store: MemoryStore,
    gate: Gate,
}

#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    changed: Condvar,
    /// A commit stands before it.
    waiting: AtomicBool,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        while *shut {
            self.waiting.store(true, Ordering::Release);
            self.changed.notify_all();
            shut = self.changed.wait(shut).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.store(false, Ordering::Release);
    }

    /// Returns when a commit waits, so that nothing more happens by itself.
    fn wait_for_a_commit(&self) {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |_: &mut bool| !self.waiting.load(Ordering::Acquire);
        let (_shut, timeout) = self
            .changed
            .wait_timeout_while(shut, Duration::from_secs(30), waits)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "nothing is committed");
    }
}

impl Store for Gated {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        self.gate.pass();
        self.store.commit(group)
    }

    fn may_wait(&self) -> bool {
        true
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.store.get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.store.range(space, range, direction)
    }

    fn disk_usage(&self) -> Result<u64> {
        self.store.disk_usage()
    }

    fn close(&self) -> Result<()> {
        self.store.close()
    }

    fn kind(&self) -> StoreKind {
        self.store.kind()
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<Event>>);

impl Log {
    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Observer for Log {
    fn notify(&self, events: Vec<Event>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }
}

fn apply(engine: &dyn Engine, sequence: u64, request: impl Ask) -> mpsc::Receiver<Vec<Outcome>> {
    let (sender, receiver) = mpsc::channel();
    let identity = Some(Identity { session: SESSION, sequence });
    let operation = Operation { identity, request: request.request() };
    engine.apply(vec![operation], Box::new(move |outcomes| drop(sender.send(outcomes))));
    receiver
}

fn claim(engine: &dyn Engine, execution: &Arc<crate::engine::Execution>) -> Option<Reservation> {
    let (sender, receiver) = mpsc::channel();
    let claim = Claim { execution: Arc::clone(execution), group: "".into(), session: SESSION };
    engine.claim(vec![claim], Box::new(move |answers| drop(sender.send(answers))));
    receiver.recv().expect("an answer").pop().flatten()
}

#[test]
fn nothing_is_shown_before_its_commit() {
    let store = Arc::<Gated>::default();
    let engine = embedded(Arc::<Gated>::clone(&store), 1);
    let log = Arc::<Log>::default();
    engine.observe(Arc::<Log>::clone(&log));
    let waits = |outcome: &mpsc::Receiver<Vec<Outcome>>| {
        store.gate.wait_for_a_commit();
        assert!(outcome.try_recv().is_err(), "an outcome is told before its commit");
        assert_eq!(log.count(), 0, "an event is told before its commit");
    };

    store.gate.set(true);
    let created = apply(&*engine, 1, create("e"));
    waits(&created);
    assert!(engine.view_execution("e").is_none());
    assert!(engine.scan_executions(&ExecutionQuery::default(), 0, 10).is_empty());
    // A repeat, an attach and a read wait for what they would tell of.
    let repeat = apply(&*engine, 1, create("e"));
    let attach = apply(&*engine, 2, create("e"));
    let get = v1::GetExecutionRequest { execution: "e".into(), summary: true };
    let read = apply(&*engine, 3, ExecutionRequest::Get(get));
    for outcome in [&repeat, &attach, &read] {
        waits(outcome);
    }
    store.gate.set(false);
    for outcome in [created, repeat, attach, read] {
        outcome.recv().unwrap().remove(0).unwrap();
    }
    let execution = engine.view_execution("e").unwrap().execution;
    let token = claim(&*engine, &execution).unwrap().token;
    engine.apply(Vec::new(), Box::new(|_| {}));
    log.0.lock().unwrap().clear();

    store.gate.set(true);
    let completed = apply(&*engine, 4, complete("e", &token));
    waits(&completed);
    let end = || engine.view_execution("e").unwrap().ended;
    assert!(end().is_none(), "an end is shown before its commit");
    store.gate.set(false);
    completed.recv().unwrap().remove(0).unwrap();
    assert!(end().is_some());
}

#[test]
fn what_is_not_durable_cannot_be_claimed() {
    let store = Arc::<Gated>::default();
    let engine = embedded(Arc::<Gated>::clone(&store), 1);
    let generator = v1::CreateExecutionRequest {
        linked_stream: "s".into(),
        starts_on_listener: true,
        ..call("generator")
    };
    apply(&*engine, 1, ExecutionRequest::Create(generator, None)).recv().unwrap().remove(0).unwrap();
    let execution = engine.view_execution("generator").unwrap().execution;
    assert!(claim(&*engine, &execution).is_none());
    apply(&*engine, 2, ExecutionRequest::Start("generator".into())).recv().unwrap().remove(0).unwrap();
    assert!(claim(&*engine, &execution).is_some());
}

#[test]
fn items_are_not_read_before_their_commit() {
    let store = Arc::<Gated>::default();
    let engine = embedded(Arc::<Gated>::clone(&store), 1);
    apply(&*engine, 1, create_stream("s", persistent())).recv().unwrap().remove(0).unwrap();
    let count = || {
        let (sender, receiver) = mpsc::channel();
        let request =
            ReadItems { stream: "s".into(), listener: None, from_key: 0, max_items: 10, max_bytes: 1_000 };
        engine.read_items(request, Box::new(move |items| drop(sender.send(items))));
        receiver.recv().unwrap().unwrap().count
    };
    store.gate.set(true);
    let written = apply(&*engine, 2, StreamRequest::Write(write("s", 1, 1, &[1, 2])));
    store.gate.wait_for_a_commit();
    assert!(written.try_recv().is_err());
    assert_eq!(count(), 0);
    store.gate.set(false);
    written.recv().unwrap().remove(0).unwrap();
    assert_eq!(count(), 2);
}
