//! The Fabric of a scenario: one of its own, on a free port.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use perper_fabric::{Config, Fabric, RunningFabric};
use perper_proxy::Proxy;
use tempfile::TempDir;

use crate::scenario::ServerPart;

pub(crate) struct Server {
    config: Config,
    running: Option<RunningFabric>,
    pub(crate) proxy: Proxy,
    /// Gone with the scenario.
    _folder: Option<TempDir>,
}

impl Server {
    pub(crate) async fn start(part: &ServerPart) -> Result<Self> {
        let folder = part.durable.then(TempDir::new).transpose()?;
        let defaults = Config::default();
        let seconds = |part: Option<f64>, default: Duration| part.map_or(default, Duration::from_secs_f64);
        let mut config = Config {
            address: ([127, 0, 0, 1], 0).into(),
            data: folder.as_ref().map(|folder| folder.path().to_owned()),
            session_lease: seconds(part.session_lease, defaults.session_lease),
            reset_grace: seconds(part.reset_grace, defaults.reset_grace),
            stop_timeout: seconds(part.stop_timeout, defaults.stop_timeout),
            max_attempts: part.max_attempts.unwrap_or(defaults.max_attempts),
            ..defaults
        };
        config.limits.value_bytes = part.value_bytes.unwrap_or(config.limits.value_bytes);
        config.limits.depth = part.depth.unwrap_or(config.limits.depth);
        let running = Fabric::start(config.clone()).await.context("the Fabric does not start")?;
        // A restart is to be found where it was.
        config.address = running.address();
        let proxy = Proxy::start(running.address()).await;
        Ok(Server { config, running: Some(running), proxy, _folder: folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.config.address
    }

    /// Ends it as a crash would, and starts it again on what it has left.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.crash();
        let started = Fabric::start(self.config.clone()).await;
        self.running = Some(started.context("the Fabric does not start again")?);
        Ok(())
    }

    fn crash(&mut self) {
        self.running = None;
    }
}
