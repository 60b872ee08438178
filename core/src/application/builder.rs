use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use super::{
    generator::GeneratorOptions,
    handler::{Handler, erase},
    running::{Handlers, RunningAgent},
    settings::AgentSettings,
    worker::{Worker, WorkerOptions},
};
use crate::{
    Error, ErrorKind, Result,
    extensions::{Connection, Context},
    model::Agent,
    protocol::{Fabric, Settings},
};

impl Agent {
    /// Describes an agent: the process that answers calls of its instances.
    ///
    /// ```no_run
    /// use perper::Agent;
    ///
    /// async fn greet(name: String) -> String {
    ///     format!("Hello, {name}!")
    /// }
    ///
    /// # async fn example() -> perper::Result<()> {
    /// Agent::builder("Hello").delegate("Greet", greet).run().await
    /// # }
    /// ```
    pub fn builder(agent: impl Into<String>) -> AgentBuilder {
        AgentBuilder {
            agent: agent.into(),
            handlers: Handlers::default(),
            repeated: None,
            settings: AgentSettings::default(),
            streams: BTreeMap::new(),
        }
    }
}

/// An agent in the making: its delegates, what it does in the life of an instance, how it runs.
#[must_use = "an agent serves nothing until it is run or started"]
pub struct AgentBuilder {
    agent: String,
    handlers: Handlers,
    /// A delegate that was declared twice.
    repeated: Option<String>,
    settings: AgentSettings,
    streams: BTreeMap<String, GeneratorOptions>,
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut delegates: Vec<_> = self.handlers.delegates.keys().collect();
        delegates.sort_unstable();
        f.debug_struct("AgentBuilder")
            .field("agent", &self.agent)
            .field("delegates", &delegates)
            .finish_non_exhaustive()
    }
}

impl AgentBuilder {
    /// Declares the handler of a delegate: an asynchronous function whose parameters are the call's arguments by
    /// position, and whose return value is its results; see [`Handler`].
    pub fn delegate<Marker>(mut self, delegate: impl Into<String>, handler: impl Handler<Marker>) -> Self {
        let (delegate, handler) = (delegate.into(), erase(handler));
        if handler.generates {
            self.streams.entry(delegate.clone()).or_default();
        }
        if self.handlers.delegates.insert(delegate.clone(), handler).is_some() {
            self.repeated = Some(delegate);
        }
        self
    }

    /// Declares a delegate whose handler is a generator: it returns an `impl Stream`. (So may one of
    /// [`delegate`](AgentBuilder::delegate); this one only says it louder.)
    ///
    /// Started as a stream, it fills that stream. A plain call of it gives a reference to a new one.
    ///
    /// ```
    /// use perper::{Agent, embedded::Embedded};
    /// use tokio_stream::{Stream, StreamExt as _};
    ///
    /// async fn numbers(from: i64, to: i64) -> impl Stream<Item = i64> {
    ///     tokio_stream::iter(from..to)
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> perper::Result<()> {
    /// # let fabric = Embedded::temporary().await?;
    /// let counter = Agent::builder("Counter").stream("Numbers", numbers).start_with(fabric.settings()).await?;
    /// let stream = perper::stream("Numbers").start((0, 3)).await?;
    /// let items: Vec<i64> = stream.items().collect::<perper::Result<_>>().await?;
    /// assert_eq!(items, [0, 1, 2]);
    /// # counter.shutdown().await?;
    /// # fabric.shutdown().await
    /// # }
    /// ```
    pub fn stream<Marker>(self, delegate: impl Into<String>, generator: impl Handler<Marker>) -> Self {
        self.stream_with(delegate, GeneratorOptions::default(), generator)
    }

    /// As [`stream`](AgentBuilder::stream), with what a plain call's streams are like, and how the generator is taken
    /// up after its worker was lost.
    pub fn stream_with<Marker>(
        mut self,
        delegate: impl Into<String>,
        options: GeneratorOptions,
        generator: impl Handler<Marker>,
    ) -> Self {
        let delegate = delegate.into();
        self.streams.insert(delegate.clone(), options);
        self.delegate(delegate, generator)
    }

    /// Runs once in each process, beside everything else, in the agent's implicit instance. A failure is logged.
    pub fn on_deploy<Marker>(mut self, handler: impl Handler<Marker>) -> Self {
        self.handlers.deploy = Some(erase(handler));
        self
    }

    /// Runs for each instance in each process, before [`on_enter`](AgentBuilder::on_enter): brings what a former
    /// version of the program left in the instance's state up to date.
    pub fn on_upgrade<Marker>(mut self, handler: impl Handler<Marker>) -> Self {
        self.handlers.upgrade = Some(erase(handler));
        self
    }

    /// Runs when an instance enters a process: before the first call of it there. Calls wait for it; when it fails, so
    /// do they, and the next call tries again.
    pub fn on_enter<Marker>(mut self, handler: impl Handler<Marker>) -> Self {
        self.handlers.enter = Some(erase(handler));
        self
    }

    /// Runs when an instance is started, with the arguments of `start_agent`; what it returns is returned there. The
    /// same as a delegate `Start`. Without it, starting an instance succeeds and returns nothing.
    pub fn on_start<Marker>(self, handler: impl Handler<Marker>) -> Self {
        self.delegate("Start", handler)
    }

    /// Runs when an instance is stopped. The same as a delegate `Stop`.
    pub fn on_stop<Marker>(self, handler: impl Handler<Marker>) -> Self {
        self.delegate("Stop", handler)
    }

    /// How much at once, and how to stop.
    pub fn settings(mut self, settings: AgentSettings) -> Self {
        self.settings = settings;
        self
    }

    /// How many executions are worked on at once; see [`AgentSettings::concurrency`].
    pub fn concurrency(mut self, executions: u64) -> Self {
        self.settings.concurrency = executions;
        self
    }

    /// How long stopping waits for what is in flight; see [`AgentSettings::grace`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Connects to the Fabric that the environment names, and serves until the process is told to stop (SIGTERM or
    /// ctrl-c), or until the connection cannot be kept. What is in flight then is finished within the grace.
    pub async fn run(self) -> Result<()> {
        self.run_with(Settings::from_env()?).await
    }

    /// As [`run`](AgentBuilder::run), with settings of one's own.
    pub async fn run_with(self, settings: Settings) -> Result<()> {
        let signals = self.settings.signals;
        let running = self.start_with(settings).await?;
        if signals {
            let stop = super::signals::stop()?;
            tokio::select! {
                outcome = running.ended() => return outcome,
                () = stop => {}
            }
            tracing::info!("stopping");
            return running.shutdown().await;
        }
        running.ended().await
    }

    /// Connects to the Fabric that the environment names and serves in the background.
    pub async fn start(self) -> Result<RunningAgent> {
        self.start_with(Settings::from_env()?).await
    }

    /// As [`start`](AgentBuilder::start), with settings of one's own.
    pub async fn start_with(mut self, settings: Settings) -> Result<RunningAgent> {
        if self.agent.is_empty() {
            self.agent = settings.agent().unwrap_or_default().to_owned();
        }
        let instance = settings.instance().map(str::to_owned);
        self.check()?;
        let fabric = Fabric::connect(settings).await?;
        self.serve(fabric, instance, true)
    }

    /// Serves over a connection that is there already, and that stays when the agent is shut down.
    pub fn start_on(self, fabric: &Fabric) -> Result<RunningAgent> {
        self.check()?;
        self.serve(fabric.clone(), None, false)
    }

    fn check(&self) -> Result<()> {
        match &self.repeated {
            Some(delegate) => {
                let message = format!(
                    "agent {:?} has two handlers for the delegate {delegate:?}; remove one",
                    self.agent
                );
                Err(Error::new(ErrorKind::InvalidSettings, message))
            }
            None => Ok(()),
        }
    }

    fn serve(self, fabric: Fabric, instance: Option<String>, close: bool) -> Result<RunningAgent> {
        let options = WorkerOptions {
            agent: self.agent.clone(),
            instance,
            delegates: self.handlers.delegates.keys().cloned().collect(),
            streams: self.streams,
            any_delegate: false,
            deploy: self.handlers.deploy.is_some(),
            upgrade: self.handlers.upgrade.is_some(),
            enter: self.handlers.enter.is_some(),
            settings: AgentSettings {
                concurrency: self.settings.concurrency.max(1),
                ..self.settings.clone()
            },
        };
        let implicit = options.implicit_instance();
        let connection = Arc::new(Connection::new(fabric.clone()));
        let context = Context::of_instance(connection.clone(), self.agent, implicit);
        let worker = Worker::over(connection, options)?;
        Ok(RunningAgent::start(worker, context, self.handlers, self.settings.grace, close.then_some(fabric)))
    }
}
