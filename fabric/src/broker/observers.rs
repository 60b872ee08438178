//! Observers of state: scalers, dashboards, the command line. They see the latest state of everything that matches, and
//! may miss steps between.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use perper_proto::v1;

use super::{Broker, lock};
use crate::engine::{Execution, ExecutionQuery, Subject};

/// Entries that are listed at a time.
const PAGE: usize = 256;

/// Everyone who observes something.
#[derive(Default)]
pub(super) struct Observers {
    executions: Mutex<Vec<(ExecutionQuery, Weak<Changed>)>>,
    streams: Mutex<Vec<Weak<Changed>>>,
}

/// Ids of what has changed since it was last taken; each at most once, so a slow observer costs no more than there is.
#[derive(Default)]
pub(super) struct Changed {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    order: VecDeque<Arc<str>>,
    members: HashSet<Arc<str>>,
    waker: Option<Waker>,
}

impl Changed {
    fn add(&self, id: &Arc<str>) {
        let mut state = lock(&self.state);
        if state.members.insert(Arc::clone(id)) {
            state.order.push_back(Arc::clone(id));
        }
        if let Some(waker) = state.waker.take() {
            drop(state);
            waker.wake();
        }
    }

    fn take(&self, context: &mut Context<'_>) -> Poll<Arc<str>> {
        let mut state = lock(&self.state);
        match state.order.pop_front() {
            Some(id) => {
                state.members.remove(&id);
                Poll::Ready(id)
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The states of matching executions: first of all there are, then a mark, then each change.
pub(crate) struct Observation {
    broker: Arc<Broker>,
    changed: Arc<Changed>,
    subject: Subject,
    query: ExecutionQuery,
    summary: bool,
    /// Where the listing of what there is stands; none once it is through.
    listing: Option<u64>,
    page: VecDeque<v1::Execution>,
}

impl Broker {
    /// Observes executions that match.
    pub(crate) fn observe(self: &Arc<Self>, filter: v1::ExecutionFilter, summary: bool) -> Observation {
        let query = ExecutionQuery::from(&filter);
        let subject = Subject::Executions(query.agent.clone());
        let changed = Arc::new(Changed::default());
        lock(&self.observers.executions).push((query.clone(), Arc::downgrade(&changed)));
        self.engine.follow(subject.clone());
        Observation {
            broker: Arc::clone(self),
            changed,
            subject,
            query,
            summary,
            listing: Some(0),
            page: VecDeque::new(),
        }
    }

    /// Tells observers that an execution has changed, or is gone.
    pub(super) fn observe_execution(&self, execution: &Execution) {
        lock(&self.observers.executions).retain(|(query, observer)| {
            let observer = observer.upgrade();
            if let Some(observer) = observer.as_ref().filter(|_| query.matches(execution)) {
                observer.add(&execution.id);
            }
            observer.is_some()
        });
    }

    /// Observes every stream's record.
    pub(crate) fn observe_streams(self: &Arc<Self>) -> StreamObservation {
        let changed = Arc::new(Changed::default());
        lock(&self.observers.streams).push(Arc::downgrade(&changed));
        self.engine.follow(Subject::Streams);
        StreamObservation {
            broker: Arc::clone(self),
            changed,
            listing: Some(String::new()),
            page: VecDeque::new(),
        }
    }

    /// Tells observers that a stream has changed, or is gone.
    pub(super) fn observe_stream(&self, stream: &Arc<str>) {
        lock(&self.observers.streams).retain(|observer| {
            let observer = observer.upgrade();
            if let Some(observer) = &observer {
                observer.add(stream);
            }
            observer.is_some()
        });
    }

    /// A Registry execution as the instance that it is.
    pub(crate) fn instance_message(&self, registered: &v1::Execution) -> v1::Instance {
        let view = self.engine.view_execution(&registered.execution);
        v1::Instance {
            instance: registered.execution.clone(),
            agent: registered.instance.clone(),
            incarnation: registered.incarnation,
            owner: registered.owner.clone(),
            age_ms: registered.age_ms,
            stopping: view.is_none_or(|view| view.stopping),
        }
    }
}

/// The records of streams: first of all there are, then a mark, then each change.
pub(crate) struct StreamObservation {
    broker: Arc<Broker>,
    changed: Arc<Changed>,
    /// Where the listing of what there is stands; none once it is through.
    listing: Option<String>,
    page: VecDeque<v1::Stream>,
}

impl StreamObservation {
    pub(crate) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<v1::watch_response::Event> {
        use v1::watch_response::Event;

        loop {
            if let Some(stream) = self.page.pop_front() {
                return Poll::Ready(Event::Stream(stream));
            }
            let Some(after) = &self.listing else {
                return self.changed.take(context).map(|id| match self.broker.engine.view_stream(&id) {
                    Some(stream) => Event::Stream(stream),
                    None => Event::RemovedStream(id.to_string()),
                });
            };
            let streams = self.broker.engine.scan_streams(after, PAGE);
            let Some(last) = streams.last() else {
                self.listing = None;
                return Poll::Ready(Event::StartReached(true));
            };
            self.listing = Some(last.stream.clone());
            self.page.extend(streams);
        }
    }
}

impl Drop for StreamObservation {
    fn drop(&mut self) {
        self.broker.engine.unfollow(Subject::Streams);
    }
}

impl Observation {
    fn view(&self, id: &Arc<str>) -> v1::observe_executions_response::Event {
        use v1::observe_executions_response::Event;

        match self.broker.engine.view_execution(id) {
            Some(view) => Event::Execution(view.to_message(self.broker.clock.now(), self.summary)),
            None => Event::Removed(id.to_string()),
        }
    }
}

impl tokio_stream::Stream for Observation {
    type Item = Result<v1::ObserveExecutionsResponse, tonic::Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        use v1::observe_executions_response::Event;

        let this = &mut *self;
        let event = loop {
            if let Some(execution) = this.page.pop_front() {
                break Event::Execution(execution);
            }
            let Some(after) = this.listing else {
                match this.changed.take(context) {
                    Poll::Ready(id) => break this.view(&id),
                    Poll::Pending => return Poll::Pending,
                }
            };
            let views = this.broker.engine.scan_executions(&this.query, after, PAGE);
            match views.last() {
                Some(last) => this.listing = Some(last.execution.number),
                None => {
                    this.listing = None;
                    break Event::StartReached(true);
                }
            }
            let now = this.broker.clock.now();
            this.page.extend(views.iter().map(|view| view.to_message(now, this.summary)));
        };
        Poll::Ready(Some(Ok(v1::ObserveExecutionsResponse { event: Some(event) })))
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.broker.engine.unfollow(self.subject.clone());
    }
}
