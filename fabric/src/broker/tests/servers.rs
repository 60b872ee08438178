use std::sync::Arc;
use std::time::Duration;

use perper_store::MemoryStore;

use super::client::Client;
use crate::broker::Broker;
use crate::config::Config;
use crate::engine::hostile::Cluster;
use crate::engine::{Clock, Engine, ExecutionQuery, Subject};
use crate::metrics::Metrics;

/// How long anything may take that certainly comes.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// Two servers over one set of data.
pub(super) struct Servers {
    pub(super) cluster: Arc<Cluster>,
    brokers: Vec<Arc<Broker>>,
    pub(super) seed: u64,
}

/// Says under which seed a test failed.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the hostile engine was driven by seed {}", self.0);
        }
    }
}

/// Of what is to run out: much longer than any grace, and short enough to be waited for.
pub(super) const SHORT: Duration = Duration::from_secs(2);

/// Servers where nothing runs out but the grace of a connection that is gone: on a busy machine a scenario may take long.
pub(super) fn config() -> Config {
    Config {
        session_lease: 3 * LONGEST,
        reset_grace: Duration::from_millis(20),
        result_retention: 3 * LONGEST,
        ..Config::default()
    }
}

/// Runs a scenario once for each of so many seeds.
pub(super) fn under_seeds(count: u64, scenario: impl AsyncFn(Servers)) {
    under_seeds_with(config(), count, scenario);
}

/// The same with servers that are configured like this.
pub(super) fn under_seeds_with(config: Config, count: u64, scenario: impl AsyncFn(Servers)) {
    let config = Arc::new(config);
    for seed in 0..count {
        let _told = Told(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let whole = async {
            let running = tokio::time::timeout(LONGEST * 2, scenario(Servers::start(seed, &config)));
            running.await.expect("the scenario ends in time");
        };
        runtime.block_on(whole);
    }
}

impl Servers {
    fn start(seed: u64, config: &Arc<Config>) -> Self {
        let cluster = Cluster::start(Arc::new(MemoryStore::new()), 1, seed, 2);
        tokio::spawn(Arc::clone(&cluster).run());
        let brokers = (0..2)
            .map(|number| {
                Broker::start(
                    cluster.server(number),
                    Clock::start(),
                    Arc::clone(config),
                    Arc::new(Metrics::new()),
                )
            })
            .collect();
        Self { cluster, brokers, seed }
    }

    /// A server goes without a word, and its clients' connections with it.
    pub(super) fn crash(&self, server: usize) {
        self.cluster.crash(server);
        self.brokers[server].stop();
    }

    pub(super) fn broker(&self, server: usize) -> &Arc<Broker> {
        &self.brokers[server]
    }

    /// What there is, as any server sees it.
    pub(super) fn engine(&self) -> &Arc<dyn Engine> {
        self.brokers[1].engine()
    }

    /// A client of one server, with a session of that number.
    pub(super) async fn client(&self, server: usize, session: u128) -> Client {
        Client::attach(self.broker(server), session, false, &[]).await.expect("a new session can be attached")
    }

    /// Waits until something is so.
    pub(super) async fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(LONGEST, waiting).await.is_err() {
            panic!("{what} never comes true; there is {:?}", self.unended());
        }
    }

    /// Executions that have not ended, by id.
    pub(super) fn unended(&self) -> Vec<String> {
        let all = self.engine().scan_executions(&ExecutionQuery::default(), 0, usize::MAX);
        let unended = all.iter().filter(|view| view.ended.is_none());
        unended.map(|view| view.execution.id.to_string()).collect()
    }

    /// Waits until nobody waits for the end of an execution at any server.
    pub(super) async fn nobody_waits(&self) {
        self.eventually("that nobody waits for an end", |servers| {
            (0..2).all(|server| {
                !servers.cluster.follows(server).iter().any(|subject| matches!(subject, Subject::End(_)))
            })
        })
        .await;
    }
}
