//! What the tests of applications share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{future::Future, sync::mpsc, time::Duration};

use perper::{Context, Result, RunningAgent, embedded::Embedded, protocol::Settings};
use perper_fabric::Config;
use tokio::runtime::Runtime;

/// A server of one's own.
pub(crate) struct Server(Embedded);

impl Server {
    pub(crate) async fn start() -> Self {
        Server(Embedded::temporary().await.expect("a server in memory on a free port starts"))
    }

    /// One that gives up a connection that was reset at once.
    pub(crate) async fn start_impatient() -> Self {
        let config = Config { reset_grace: Duration::from_millis(1), ..Config::default() };
        Server(Embedded::start(config).await.expect("a server in memory on a free port starts"))
    }

    pub(crate) fn settings(&self) -> Settings {
        self.0.settings()
    }

    pub(crate) async fn client(&self) -> Context {
        self.0.connect().await.expect("the server is there")
    }
}

/// An agent in a runtime of its own, that can die as a process dies: without a word to anybody.
pub(crate) struct Doomed(Runtime);

impl Doomed {
    pub(crate) fn start(agent: impl Future<Output = Result<RunningAgent>> + Send + 'static) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (sender, receiver) = mpsc::channel();
        runtime.spawn(async move {
            let agent = agent.await.expect("it starts");
            // Dropping it, be it with the runtime, would be a farewell, and some thread might still get that out.
            std::mem::forget(agent);
            sender.send(()).expect("the test waits");
        });
        receiver.recv().expect("it starts");
        Doomed(runtime)
    }

    pub(crate) fn kill(self) {
        self.0.shutdown_background();
    }
}
