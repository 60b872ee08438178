use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    task::{Context as Poller, Poll, Waker},
};

use bytes::Bytes;
use perper_values::Sequence;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    conclude::conclude,
    event::{Event, Invocation, InvocationKind, Outcome},
    options::{START, STARTUP, STOP, WorkerOptions},
};
use crate::{
    Error, ErrorKind, Failure,
    application::{
        generator::Resume,
        lifecycle::{After, Arrival, Lifecycle, Stage},
    },
    extensions::{Connection, Context, ExecutionScope, Slots, create_stream, generator_execution},
    protocol::{
        Activation, CreditReturn, ExecutionFilter, Listen, ListenEvent, ListenOptions, StreamOptions,
    },
};

/// What the worker knows, behind its lock.
pub(super) struct State {
    connection: Arc<Connection>,
    options: Arc<WorkerOptions>,
    /// For the little that waits here: bindings ask from threads of their own.
    runtime: Handle,
    listen: Listen,
    lifecycle: Lifecycle<Box<Activation>>,
    /// Handed out and without an outcome.
    active: HashMap<u64, Active>,
    /// From the reservation to the invocation.
    reserved: HashMap<Bytes, u64>,
    events: VecDeque<Event>,
    next_invocation: u64,
    /// Places that were lent and taken back while somebody else had them: that many ends give nothing free.
    overdrawn: u64,
    slots: Weak<dyn Slots>,
    /// The listen has ended, and nothing is reserved any more.
    over: bool,
    /// Whoever waits for events.
    waker: Option<Waker>,
}

/// An invocation without an outcome.
struct Active {
    kind: InvocationKind,
    context: Context,
    /// What to give back to the listen's credit.
    bytes: u64,
    /// It takes none of the worker's slots.
    uncounted: bool,
}

/// What is to be done about an outcome, outside of the lock.
pub(super) struct Concluded {
    pub(super) execution: Arc<ExecutionScope>,
    pub(super) outcome: Outcome,
}

impl State {
    pub(super) fn new(
        connection: Arc<Connection>,
        options: Arc<WorkerOptions>,
        runtime: Handle,
        slots: Weak<dyn Slots>,
    ) -> Self {
        let mut stages = Vec::new();
        if options.upgrade {
            stages.push(Stage::Upgrade);
        }
        if options.enter {
            stages.push(Stage::Enter);
        }
        let mut lifecycle = Lifecycle::new(stages);
        lifecycle.entered(&options.implicit_instance());
        let listen = connection.fabric.listen(ListenOptions {
            filters: filters(&options),
            work_group: options.settings.work_group.clone(),
            executions: options.settings.concurrency,
            bytes: options.settings.bytes,
            credit_return: CreditReturn::Manual,
        });
        let mut state = State {
            connection,
            options,
            runtime,
            listen,
            lifecycle,
            active: HashMap::new(),
            reserved: HashMap::new(),
            events: VecDeque::new(),
            next_invocation: 1,
            overdrawn: 0,
            slots,
            over: false,
            waker: None,
        };
        if state.options.deploy {
            let instance = state.options.implicit_instance();
            state.invoke_local(InvocationKind::Deploy, instance);
        }
        if let Some(instance) = state.options.instance.clone() {
            state.notice(instance, 0);
        }
        state
    }

    /// That life of an instance exists.
    pub(super) fn notice(&mut self, instance: String, incarnation: u64) {
        if let Some(stage) = self.lifecycle.notice(&instance, incarnation) {
            self.invoke_local(kind(stage), instance);
        }
    }

    /// Takes what has come. Ready when there are events.
    pub(super) fn poll(&mut self, poller: &mut Poller<'_>) -> Poll<()> {
        while !self.over {
            match self.listen.poll_next(poller) {
                Poll::Ready(Ok(Some(events))) => {
                    for event in events {
                        self.take(event);
                    }
                }
                Poll::Ready(Ok(None)) => self.finish(None),
                Poll::Ready(Err(error)) => self.finish(Some(error)),
                Poll::Pending => break,
            }
        }
        if self.events.is_empty() {
            self.waker = Some(poller.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Whom to wake for events that did not come from the listen.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        if self.events.is_empty() { None } else { self.waker.take() }
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The worker is over: after an error everything that is in hand is lost with it.
    fn finish(&mut self, error: Option<Error>) {
        self.over = true;
        let ids: Vec<u64> = self.active.keys().copied().collect();
        for id in ids {
            self.cancel(id, ErrorKind::ReservationLost);
        }
        self.events.push_back(Event::Shutdown(error));
    }

    fn take(&mut self, event: ListenEvent) {
        match event {
            ListenEvent::Activation(mut activation) => {
                if activation.instance.is_empty() {
                    activation.instance = self.options.implicit_instance();
                }
                let instance = activation.instance.clone();
                match self.lifecycle.arrive(&instance, activation.incarnation, activation) {
                    Arrival::Run(activation) => self.activate(*activation),
                    Arrival::Begin(stage) => self.invoke_local(kind(stage), instance),
                    Arrival::Wait => {}
                }
            }
            ListenEvent::Revocation { reservation, reason } => {
                if let Some(id) = self.reserved.get(&reservation).copied() {
                    self.cancel(id, reason);
                } else if let Some(waiting) = self.lifecycle.withdraw(|it| it.reservation == reservation) {
                    self.listen.grant(1, waiting.size());
                }
            }
            ListenEvent::StartReached => {}
        }
    }

    /// Hands a call out, or answers it where the author has left that to us.
    fn activate(&mut self, activation: Activation) {
        let bytes = activation.size();
        let alias = self.options.alias(&activation.delegate);
        let lifecycle = matches!(activation.delegate.as_str(), START | STOP | STARTUP);
        let unhandled = lifecycle && alias.is_none() && !self.options.serves(&activation.delegate);
        if activation.delegate == STOP {
            self.lifecycle.leave(&activation.instance, activation.incarnation);
        }
        if unhandled {
            let completed = self.connection.fabric.complete_execution(
                activation.execution,
                activation.reservation,
                Ok(Vec::new()),
            );
            // Without results there is nothing to refuse, and a lost reservation is somebody else's by now.
            drop(completed);
            self.listen.grant(1, bytes);
            return;
        }
        let execution = ExecutionScope::new(
            activation.execution,
            activation.reservation,
            activation.delegate,
            activation.incarnation,
            activation.attempt,
            activation.headers,
            activation.linked_stream.is_none().then(|| self.slots.clone()),
        );
        let delegate = alias.map_or_else(|| execution.delegate.clone(), str::to_owned);
        let reservation = execution.reservation.clone();
        let context = Context::of_execution(
            self.connection.clone(),
            activation.agent,
            activation.instance,
            execution,
            activation.remaining,
        );
        let mut skip_items = 0;
        match (&activation.linked_stream, self.options.streams.get(&delegate)) {
            (None, Some(generator)) => {
                let options = generator.stream.clone();
                self.listen.grant(1, bytes);
                return self.start_stream(context, delegate, &options, activation.arguments);
            }
            (Some(linked), Some(generator)) if generator.resume == Resume::Skip => skip_items = linked.items,
            _ => {}
        }
        // A generator may run for ever; whoever grants by hand counts it like everything else.
        let uncounted = activation.linked_stream.is_some() && !self.takes_what_is_granted();
        if uncounted {
            self.listen.grant(1, bytes);
        }
        let id = self.next_id();
        self.reserved.insert(reservation, id);
        self.active.insert(
            id,
            Active { kind: InvocationKind::Delegate, context: context.clone(), bytes, uncounted },
        );
        self.events.push_back(Event::Activation(Box::new(Invocation {
            id,
            kind: InvocationKind::Delegate,
            delegate,
            arguments: activation.arguments,
            linked_stream: activation.linked_stream,
            skip_items,
            context,
        })));
    }

    /// Answers a plain call of a generator with a stream that another execution of it fills.
    fn start_stream(
        &self,
        context: Context,
        delegate: String,
        options: &StreamOptions,
        arguments: Vec<Bytes>,
    ) {
        let Some(execution) = context.execution_scope().cloned() else { return };
        let fabric = self.connection.fabric.clone();
        let generator = fabric.new_id();
        let (stream, created) = create_stream(&context, options, false, generator.clone());
        let generator = generator_execution(&context, &delegate, options, &stream, generator, arguments);
        let started = fabric.create_execution(generator);
        context.created(created);
        context.created(async move { started.await.map(drop) });
        let outcome = match Sequence::Results.encode(&stream) {
            Ok(results) => Outcome::Completed(results),
            Err(error) => Outcome::Failed(Error::from(error).into()),
        };
        self.runtime.spawn(conclude(fabric, execution, outcome));
    }

    /// Hands out something that no execution stands behind.
    fn invoke_local(&mut self, kind: InvocationKind, instance: String) {
        let id = self.next_id();
        let agent = self.options.agent.clone();
        let cancellation = CancellationToken::new();
        let context = Context::of_local(self.connection.clone(), agent, instance, cancellation);
        let active = Active { kind, context: context.clone(), bytes: 0, uncounted: true };
        self.active.insert(id, active);
        self.events.push_back(Event::Activation(Box::new(Invocation {
            id,
            kind,
            delegate: String::new(),
            arguments: Vec::new(),
            linked_stream: None,
            skip_items: 0,
            context,
        })));
    }

    fn next_id(&mut self) -> u64 {
        let id = self.next_invocation;
        self.next_invocation += 1;
        id
    }

    /// A handler has an outcome. Gives what there is to tell the Fabric; nothing if the invocation is over already.
    pub(super) fn complete(&mut self, id: u64, outcome: Outcome) -> Option<Concluded> {
        let active = self.active.remove(&id)?;
        match active.kind {
            InvocationKind::Delegate => {
                let execution = active.context.execution_scope()?.clone();
                self.reserved.remove(&execution.reservation);
                self.free(&active);
                Some(Concluded { execution, outcome })
            }
            InvocationKind::Deploy => {
                if let Outcome::Failed(failure) = outcome {
                    let Failure { type_name, message, .. } = failure;
                    tracing::error!(agent = self.options.agent, type_name, message, "Deploy failed");
                }
                None
            }
            InvocationKind::Upgrade | InvocationKind::Enter => {
                self.complete_stage(active.context.instance(), active.kind, outcome);
                None
            }
        }
    }

    fn complete_stage(&mut self, instance: &str, stage: InvocationKind, outcome: Outcome) {
        let failure = match outcome {
            Outcome::Completed(_) => {
                match self.lifecycle.succeeded(instance) {
                    After::Next(stage) => self.invoke_local(kind(stage), instance.to_owned()),
                    After::Run(waiting) => waiting.into_iter().for_each(|waiting| self.activate(*waiting)),
                }
                return;
            }
            Outcome::Failed(failure) => Some(failure),
            Outcome::Released => None,
        };
        let waiting = self.lifecycle.failed(instance);
        if let Some(Failure { type_name, message, .. }) = &failure {
            tracing::error!(instance, ?stage, type_name, message, "an instance could not enter");
        }
        for waiting in waiting {
            self.listen.grant(1, waiting.size());
            let fabric = &self.connection.fabric;
            // Dropped, since only a lost reservation could be in the way.
            drop(match failure.clone() {
                Some(failure) => {
                    fabric.complete_execution(waiting.execution, waiting.reservation, Err(failure))
                }
                None => fabric.release_execution(waiting.execution, waiting.reservation),
            });
        }
    }

    /// A reservation is over before its handler is.
    fn cancel(&mut self, id: u64, reason: ErrorKind) {
        let Some(active) = self.active.remove(&id) else { return };
        if let Some(execution) = active.context.execution_scope() {
            self.reserved.remove(&execution.reservation);
            execution.end();
        }
        active.context.cancellation().cancel();
        self.free(&active);
        self.events.push_back(Event::Cancellation { invocation: id, reason });
    }

    /// Another execution may come in place of this one.
    fn free(&mut self, active: &Active) {
        if active.uncounted {
            return;
        }
        if self.takes_what_is_granted() {
            self.listen.grant(0, active.bytes);
            return;
        }
        match self.overdrawn.checked_sub(1) {
            Some(less) => {
                self.overdrawn = less;
                self.listen.grant(0, active.bytes);
            }
            None => self.listen.grant(1, active.bytes),
        }
    }

    /// An execution waits for a call: another may have its place.
    pub(super) fn lend(&mut self) {
        if self.takes_what_is_granted() {
            return;
        }
        match self.overdrawn.checked_sub(1) {
            Some(less) => self.overdrawn = less,
            None => self.listen.grant(1, 0),
        }
    }

    /// It goes on.
    pub(super) fn take_back(&mut self) {
        if !self.takes_what_is_granted() {
            self.overdrawn += 1;
        }
    }

    /// Takes that many more.
    pub(super) fn grant(&self, executions: u64) {
        self.listen.grant(executions, 0);
    }

    fn takes_what_is_granted(&self) -> bool {
        self.options.settings.concurrency == 0
    }

    /// Takes no more, and gives back what has not begun.
    pub(super) fn stop(&mut self) {
        self.listen.stop();
        for waiting in self.lifecycle.drain() {
            drop(self.connection.fabric.release_execution(waiting.execution, waiting.reservation));
        }
        let events = std::mem::take(&mut self.events);
        for event in events {
            match event {
                Event::Activation(invocation) if invocation.kind == InvocationKind::Delegate => {
                    self.release(invocation.id);
                    // Nobody has heard of it.
                    self.events.pop_back();
                }
                event => self.events.push_back(event),
            }
        }
    }

    /// Gives back everything that is in hand.
    pub(super) fn release_all(&mut self) {
        let mut ids: Vec<u64> = self.active.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.release(id);
        }
    }

    fn release(&mut self, id: u64) {
        let execution = self.active.get(&id).and_then(|active| active.context.execution_scope()).cloned();
        self.cancel(id, ErrorKind::ReservationLost);
        if let Some(execution) = execution {
            let fabric = &self.connection.fabric;
            drop(fabric.release_execution(&execution.execution, execution.reservation.clone()));
        }
    }

    /// An instance is gone.
    pub(super) fn gone(&mut self, instance: &str) {
        self.lifecycle.gone(instance);
    }

    pub(super) fn context(&self, id: u64) -> Option<Context> {
        self.active.get(&id).map(|active| active.context.clone())
    }

    /// How many handlers run.
    pub(super) fn in_flight(&self) -> usize {
        self.active.len()
    }
}

fn kind(stage: Stage) -> InvocationKind {
    match stage {
        Stage::Upgrade => InvocationKind::Upgrade,
        Stage::Enter => InvocationKind::Enter,
    }
}

/// What the process serves and nothing else.
fn filters(options: &WorkerOptions) -> Vec<ExecutionFilter> {
    let filter = |instance: String| ExecutionFilter {
        agent: options.agent.clone(),
        instance,
        delegates: options.listened(),
    };
    match &options.instance {
        // Deploy may call the implicit instance; somebody must be there to answer.
        Some(instance) if options.deploy => {
            vec![filter(instance.clone()), filter(options.implicit_instance())]
        }
        Some(instance) => vec![filter(instance.clone())],
        None => vec![filter(String::new())],
    }
}
