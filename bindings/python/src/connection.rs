use std::{collections::BTreeMap, time::Duration};

use perper::{
    AgentSettings, GeneratorOptions, Resume,
    application::worker::{self, WorkerOptions},
    protocol::{Fabric, Settings, StreamOptions},
};
use pyo3::prelude::*;

use crate::{cancellation::Cancellation, errors, fork::Owned, log, port::Port, runtime};

/// A session at a Fabric.
#[pyclass(frozen, module = "perper._native")]
pub(crate) struct Connection {
    fabric: Owned<Fabric>,
}

type Stream = (bool, bool, u64, i64, u64, Vec<String>, bool);

#[pymethods]
impl Connection {
    /// Begins to connect and returns at once. What is not given comes from the environment.
    #[new]
    #[pyo3(signature = (*, endpoint=None, token=None, ca_file=None, identity_files=None))]
    fn new(
        py: Python<'_>,
        endpoint: Option<String>,
        token: Option<String>,
        ca_file: Option<String>,
        identity_files: Option<(String, String)>,
    ) -> PyResult<Self> {
        let given = |name: &str| match name {
            "PERPER_FABRIC_ENDPOINT" => endpoint.clone(),
            "PERPER_TOKEN" => token.clone(),
            "PERPER_CA_FILE" => ca_file.clone(),
            _ => None,
        };
        let strings = |name: &str| given(name).or_else(|| std::env::var(name).ok());
        let connect = || {
            let mut settings = Settings::from_strings(&strings)?;
            if let Some((certificate, key)) = &identity_files {
                settings = settings.with_identity_files(certificate, key);
            }
            Fabric::start(settings.with_client("perper-python", "python", env!("CARGO_PKG_VERSION")))
        };
        log::install();
        let handle = runtime::handle(py)?;
        let _entered = handle.enter();
        let fabric = connect().map_err(|error| errors::raise(py, &error))?;
        runtime::remember(py, &fabric)?;
        Ok(Connection { fabric: Owned::new(fabric) })
    }

    /// Waits until there is a session. False when it was cancelled first.
    fn ready(&self, py: Python<'_>, cancellation: &Cancellation) -> PyResult<bool> {
        let fabric = self.fabric.get()?.clone();
        let ready = runtime::wait(py, Some(cancellation.token()?), async move { fabric.ready().await })?;
        match ready {
            None => Ok(false),
            Some(ready) => ready.map(|()| true).map_err(|error| errors::raise(py, &error)),
        }
    }

    /// Ends the session.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let fabric = self.fabric.get()?.clone();
        runtime::forget(py, &fabric)?;
        match runtime::wait(py, None, async move { fabric.close().await })? {
            Some(Err(error)) => Err(errors::raise(py, &error)),
            _ => Ok(()),
        }
    }

    /// An id that nobody else makes.
    fn new_id(&self) -> PyResult<String> {
        Ok(self.fabric.get()?.new_id())
    }

    #[getter]
    fn endpoint(&self) -> PyResult<String> {
        Ok(self.fabric.get()?.settings().endpoint().to_owned())
    }

    /// Version, cluster id and features of the server, once connected.
    #[getter]
    fn server(&self) -> PyResult<Option<(String, String, Vec<String>)>> {
        Ok(self.fabric.get()?.server().map(|server| (server.version, server.cluster_id, server.features)))
    }

    /// A port for a program that is no agent.
    fn port(&self) -> PyResult<Port> {
        Ok(Port::new(worker::Port::new(self.fabric.get()?.clone())))
    }

    /// A port that serves an agent. `streams` tells which delegates are generators: persistent, action, stride, first
    /// key, backlog, indexed members, and whether a generator that is taken up again skips what is there. With a
    /// concurrency of 0 it takes what it is granted.
    #[pyo3(signature = (agent, instance, delegates, streams, *, any_delegate, deploy, upgrade, enter, concurrency, bytes, work_group))]
    #[expect(clippy::too_many_arguments, reason = "all by name")]
    fn serve(
        &self,
        py: Python<'_>,
        agent: String,
        instance: Option<String>,
        delegates: Vec<String>,
        streams: BTreeMap<String, Stream>,
        any_delegate: bool,
        deploy: bool,
        upgrade: bool,
        enter: bool,
        concurrency: u64,
        bytes: u64,
        work_group: String,
    ) -> PyResult<Port> {
        let streams = streams.into_iter().map(|(name, stream)| (name, generator(stream))).collect();
        let settings = AgentSettings {
            concurrency,
            bytes,
            work_group,
            // Both are Python's: it waits, and it handles signals.
            grace: Duration::ZERO,
            signals: false,
        };
        let options = WorkerOptions {
            agent,
            instance,
            delegates,
            streams,
            any_delegate,
            deploy,
            upgrade,
            enter,
            settings,
        };
        let handle = runtime::handle(py)?;
        let _entered = handle.enter();
        let port = worker::Port::serve(self.fabric.get()?.clone(), options);
        port.map(Port::new).map_err(|error| errors::raise(py, &error))
    }
}

fn generator(
    (persistent, action, stride, first_key, backlog_items, indexed_fields, skip): Stream,
) -> GeneratorOptions {
    GeneratorOptions {
        stream: StreamOptions { persistent, action, stride, first_key, backlog_items, indexed_fields },
        resume: if skip { Resume::Skip } else { Resume::Again },
    }
}
