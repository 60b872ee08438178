//! What a server counts about itself, in the families that Prometheus reads.
//!
//! One [`Metrics`] belongs to one server; there is no global registry, so a process may run many. Every field is a
//! handle to an atomic: touching it in a hot path costs one relaxed instruction. Families with labels hand out their
//! handles once, here; only what is rare (a refused request, a failed RPC) looks its labels up.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use perper_proto::v1::request::Request;
use perper_proto::{Reason, v1};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of commit times: from a commit to memory to a disk in trouble.
const COMMIT_BUCKETS: [f64; 14] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

macro_rules! labels {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $each:literal])+ $variant:ident = $label:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[doc = $each])+ $variant, )+ }

        impl $name {
            /// Every one, in the order of the array of handles.
            pub const ALL: &[$name] = &[ $( $name::$variant, )+ ];

            /// The value of the label.
            pub const fn label(self) -> &'static str {
                match self { $( $name::$variant => $label, )+ }
            }
        }
    };
}

labels! {
    /// The operations of the protocol, however they came: in a frame of `Attach` or as a unary call.
    Operation {
        /// `CreateExecution`, and the creation in `CallExecution`.
        CreateExecution = "create_execution",
        /// `CompleteExecution`.
        CompleteExecution = "complete_execution",
        /// `ReleaseExecution`.
        ReleaseExecution = "release_execution",
        /// `CancelExecution`.
        CancelExecution = "cancel_execution",
        /// `ForgetExecution`.
        ForgetExecution = "forget_execution",
        /// `GetExecution`.
        GetExecution = "get_execution",
        /// `WaitExecution`.
        WaitExecution = "wait_execution",
        /// `ReserveExecution`.
        ReserveExecution = "reserve_execution",
        /// `Listen`.
        Listen = "listen",
        /// `Unlisten`.
        Unlisten = "unlisten",
        /// `StartInstance`.
        StartInstance = "start_instance",
        /// `StopInstance`.
        StopInstance = "stop_instance",
        /// `CreateStream`.
        CreateStream = "create_stream",
        /// `StartStream`.
        StartStream = "start_stream",
        /// `WriteItems`.
        WriteItems = "write_items",
        /// `CompleteStream`.
        CompleteStream = "complete_stream",
        /// `AttachListener`.
        AttachListener = "attach_listener",
        /// `DetachListener`.
        DetachListener = "detach_listener",
        /// `RemoveListener`.
        RemoveListener = "remove_listener",
        /// `WaitForListener`.
        WaitForListener = "wait_for_listener",
        /// `DestroyStream`.
        DestroyStream = "destroy_stream",
        /// `GetStream`.
        GetStream = "get_stream",
        /// `ReadItems`.
        ReadItems = "read_items",
        /// `CreateDictionary`.
        CreateDictionary = "create_dictionary",
        /// `UpdateDictionary`.
        UpdateDictionary = "update_dictionary",
        /// `EnumerateDictionary`.
        EnumerateDictionary = "enumerate_dictionary",
        /// `DestroyDictionary`.
        DestroyDictionary = "destroy_dictionary",
        /// `CreateList`.
        CreateList = "create_list",
        /// `UpdateList`.
        UpdateList = "update_list",
        /// `EnumerateList`.
        EnumerateList = "enumerate_list",
        /// `DestroyList`.
        DestroyList = "destroy_list",
        /// A kind of request that this server does not know.
        Unknown = "unknown",
    }
}

impl From<&Request> for Operation {
    fn from(request: &Request) -> Self {
        match request {
            Request::CreateExecution(_) => Operation::CreateExecution,
            Request::CompleteExecution(_) => Operation::CompleteExecution,
            Request::ReleaseExecution(_) => Operation::ReleaseExecution,
            Request::CancelExecution(_) => Operation::CancelExecution,
            Request::ForgetExecution(_) => Operation::ForgetExecution,
            Request::GetExecution(_) => Operation::GetExecution,
            Request::WaitExecution(_) => Operation::WaitExecution,
            Request::Listen(_) => Operation::Listen,
            Request::Unlisten(_) => Operation::Unlisten,
            Request::StartInstance(_) => Operation::StartInstance,
            Request::StopInstance(_) => Operation::StopInstance,
            Request::CreateStream(_) => Operation::CreateStream,
            Request::StartStream(_) => Operation::StartStream,
            Request::WriteItems(_) => Operation::WriteItems,
            Request::CompleteStream(_) => Operation::CompleteStream,
            Request::AttachListener(_) => Operation::AttachListener,
            Request::DetachListener(_) => Operation::DetachListener,
            Request::RemoveListener(_) => Operation::RemoveListener,
            Request::WaitForListener(_) => Operation::WaitForListener,
            Request::DestroyStream(_) => Operation::DestroyStream,
            Request::GetStream(_) => Operation::GetStream,
            Request::ReadItems(_) => Operation::ReadItems,
            Request::CreateDictionary(_) => Operation::CreateDictionary,
            Request::UpdateDictionary(_) => Operation::UpdateDictionary,
            Request::EnumerateDictionary(_) => Operation::EnumerateDictionary,
            Request::DestroyDictionary(_) => Operation::DestroyDictionary,
            Request::CreateList(_) => Operation::CreateList,
            Request::UpdateList(_) => Operation::UpdateList,
            Request::EnumerateList(_) => Operation::EnumerateList,
            Request::DestroyList(_) => Operation::DestroyList,
        }
    }
}

labels! {
    /// How an execution ended.
    ExecutionEnd {
        /// With results.
        Completed = "completed",
        /// With an error of its handler.
        Failed = "failed",
        /// Cancelled by someone, or with its parent, session or instance.
        Cancelled = "cancelled",
        /// Past its deadline.
        Deadline = "deadline",
        /// Given to workers too often.
        AttemptsExhausted = "attempts_exhausted",
    }
}

labels! {
    /// Why a connection came to nothing.
    Refusal {
        /// The TLS handshake failed.
        TlsHandshake = "tls_handshake",
        /// Plain text where TLS is spoken.
        PlainText = "plain_text",
        /// TLS where plain text is spoken.
        UnexpectedTls = "unexpected_tls",
        /// HTTP/1.
        Http1 = "http1",
        /// Neither TLS nor HTTP.
        NotHttp = "not_http",
        /// Nothing was said in time.
        Silent = "silent",
        /// HTTP/2 that broke the protocol.
        Http2 = "http2",
        /// No or a wrong bearer token. Counted per request.
        BearerToken = "bearer_token",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// Requests by operation and outcome.
#[derive(Debug)]
pub struct Requests {
    family: Family<RequestLabels, Counter>,
    succeeded: Vec<Counter>,
}

impl Requests {
    fn new() -> Self {
        let family = Family::<RequestLabels, Counter>::default();
        let succeeded = Operation::ALL
            .iter()
            .map(|operation| {
                family.get_or_create_owned(&RequestLabels { operation: operation.label(), outcome: "ok" })
            })
            .collect();
        Self { family, succeeded }
    }

    /// So many more requests that did what they asked for.
    pub fn succeeded(&self, operation: Operation, count: u64) {
        self.succeeded[operation as usize].inc_by(count);
    }

    /// One more request, with how it went.
    pub(crate) fn answered<T>(&self, operation: Operation, outcome: &Result<T, v1::Error>) {
        match outcome {
            Ok(_) => self.succeeded(operation, 1),
            Err(error) => self.failed(operation, error.known_reason().unwrap_or(Reason::Internal)),
        }
    }

    /// Requests that are answered together.
    pub(crate) fn tally(&self) -> RequestTally<'_> {
        RequestTally { requests: self, operation: Operation::Unknown, succeeded: 0 }
    }

    /// One more request that was refused, or failed.
    pub fn failed(&self, operation: Operation, reason: Reason) {
        self.family
            .get_or_create(&RequestLabels { operation: operation.label(), outcome: reason.name() })
            .inc();
    }
}

/// Counts requests that are answered together: neighbours of one operation, which are mostly all of a frame, cost one
/// atomic instruction.
pub(crate) struct RequestTally<'a> {
    requests: &'a Requests,
    operation: Operation,
    succeeded: u64,
}

impl RequestTally<'_> {
    /// One more request, with how it went.
    pub(crate) fn answered<T>(&mut self, operation: Operation, outcome: &Result<T, v1::Error>) {
        if outcome.is_err() {
            return self.requests.answered(operation, outcome);
        }
        if operation != self.operation {
            self.flush();
            self.operation = operation;
        }
        self.succeeded += 1;
    }

    fn flush(&mut self) {
        if self.succeeded > 0 {
            self.requests.succeeded(self.operation, std::mem::take(&mut self.succeeded));
        }
    }
}

impl Drop for RequestTally<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What reads the numbers that others keep.
type Sampler = Box<dyn Fn(&Metrics) + Send + Sync>;

/// Everything a server counts about itself.
///
/// What engine and broker keep count of anyway, under locks that they hold anyway, is read off by [`sample`](Self::sample)
/// whenever somebody looks; the rest is counted as it happens.
pub struct Metrics {
    registry: Registry,
    sampler: OnceLock<Sampler>,

    /// `perper_requests_total`.
    pub requests: Requests,
    /// `perper_sessions`: sessions whose lease has not run out.
    pub sessions: Gauge,
    /// `perper_subscriptions`: attach streams, listens and attached listeners.
    pub subscriptions: Gauge,

    /// `perper_executions_created_total`.
    pub executions_created: Counter,
    /// `perper_executions_pending`: executions that wait for a worker.
    pub executions_pending: Gauge,
    /// `perper_executions_reserved`: executions that a worker holds.
    pub executions_reserved: Gauge,
    executions_ended: Vec<Counter>,
    /// `perper_activations_total`: executions handed to workers, redeliveries included.
    pub activations: Counter,
    /// `perper_redeliveries_total`: activations after the first of their execution and work group.
    pub redeliveries: Counter,
    /// `perper_revocations_total`: reservations that ended without their holder's doing.
    pub revocations: Counter,

    /// `perper_stream_items_received_total`: items that writers appended.
    pub stream_items_received: Counter,
    /// `perper_stream_items_sent_total`: items delivered to listeners.
    pub stream_items_sent: Counter,
    /// `perper_stream_received_bytes_total`: bytes of the items that writers appended.
    pub stream_bytes_received: Counter,
    /// `perper_stream_sent_bytes_total`: bytes of the items delivered to listeners.
    pub stream_bytes_sent: Counter,

    /// `perper_commit_seconds`: how long the store took for each group commit.
    pub commit_seconds: Histogram,
    /// `perper_commit_batches_total`: changes in those groups.
    pub commit_batches: Counter,
    /// `perper_commit_bytes_total`: bytes of keys and values in them.
    pub commit_bytes: Counter,
    /// `perper_store_errors_total`: commits and reads that the store failed.
    pub store_errors: Counter,
    /// `perper_store_bytes`: what the data occupies on disk, as of the last look.
    pub store_bytes: Gauge,
    recovery_seconds: Gauge<f64, AtomicU64>,

    /// `perper_connections`: connections open now.
    pub connections: Gauge,
    /// `perper_connections_accepted_total`.
    pub connections_accepted: Counter,
    refusals: Vec<Counter>,
    /// `perper_network_received_bytes_total`: bytes read from connections, after TLS.
    pub network_bytes_received: Counter,
    /// `perper_network_sent_bytes_total`: bytes written to connections, before TLS.
    pub network_bytes_sent: Counter,
}

impl Metrics {
    /// Families of zeros.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("perper");
        let requests = Requests::new();
        registry.register(
            "requests",
            "Requests by operation and outcome: ok, or the reason of the error",
            requests.family.clone(),
        );

        let ends = Family::<EndLabels, Counter>::default();
        registry.register("executions_ended", "Executions that ended, by how", ends.clone());
        let refusals = Family::<RefusalLabels, Counter>::default();
        registry.register(
            "refusals",
            "Connections and requests turned away before any service saw them",
            refusals.clone(),
        );

        let mut add = Adder(&mut registry);
        Self {
            sampler: OnceLock::new(),
            requests,
            sessions: add.gauge("sessions", "Sessions whose lease has not run out"),
            subscriptions: add.gauge("subscriptions", "Attach streams, listens and attached listeners"),
            executions_created: add.counter("executions_created", "Executions created"),
            executions_pending: add.gauge("executions_pending", "Executions that wait for a worker"),
            executions_reserved: add.gauge("executions_reserved", "Executions that a worker holds"),
            executions_ended: ExecutionEnd::ALL
                .iter()
                .map(|end| ends.get_or_create_owned(&EndLabels { end: end.label() }))
                .collect(),
            activations: add.counter("activations", "Executions handed to workers, redeliveries included"),
            redeliveries: add.counter("redeliveries", "Activations after the first of their execution"),
            revocations: add.counter("revocations", "Reservations that ended without their holder's doing"),
            stream_items_received: add.counter("stream_items_received", "Items that writers appended"),
            stream_items_sent: add.counter("stream_items_sent", "Items delivered to listeners"),
            stream_bytes_received: add.bytes("stream_received", "Bytes of the items that writers appended"),
            stream_bytes_sent: add.bytes("stream_sent", "Bytes of the items delivered to listeners"),
            commit_seconds: add.commit_seconds(),
            commit_batches: add.counter("commit_batches", "Changes in group commits"),
            commit_bytes: add.bytes("commit", "Bytes of keys and values in group commits"),
            store_errors: add.counter("store_errors", "Commits and reads that the store failed"),
            store_bytes: add.store_bytes(),
            recovery_seconds: add.recovery_seconds(),
            connections: add.gauge("connections", "Connections open now"),
            connections_accepted: add.counter("connections_accepted", "Connections accepted"),
            refusals: Refusal::ALL
                .iter()
                .map(|refusal| refusals.get_or_create_owned(&RefusalLabels { reason: refusal.label() }))
                .collect(),
            network_bytes_received: add.bytes("network_received", "Bytes read from connections, after TLS"),
            network_bytes_sent: add.bytes("network_sent", "Bytes written to connections, before TLS"),
            registry,
        }
    }

    /// How many executions ended, by [`ExecutionEnd`].
    pub(crate) fn set_executions_ended(&self, counts: &[u64; ExecutionEnd::ALL.len()]) {
        for (counter, &count) in self.executions_ended.iter().zip(counts) {
            counter.inner().store(count, Ordering::Relaxed);
        }
    }

    /// Sets what [`sample`](Self::sample) calls. The first call counts.
    pub(crate) fn sample_with(&self, sampler: impl Fn(&Metrics) + Send + Sync + 'static) {
        let _ = self.sampler.set(Box::new(sampler));
    }

    /// Brings the numbers up to date that others keep. May look at the disk.
    pub fn sample(&self) {
        if let Some(sampler) = self.sampler.get() {
            sampler(self);
        }
    }

    /// One more connection or request turned away.
    pub fn refused(&self, refusal: Refusal) {
        self.refusals[refusal as usize].inc();
    }

    /// How often that was.
    pub fn refusals(&self, refusal: Refusal) -> u64 {
        self.refusals[refusal as usize].get()
    }

    /// How long this boot took to read what was stored.
    pub fn set_recovery(&self, recovery: Duration) {
        self.recovery_seconds.set(recovery.as_secs_f64());
    }

    /// All families, as of now, in the text format of OpenMetrics 1.0. May look at the disk.
    pub fn encode(&self) -> String {
        self.sample();
        let mut text = String::with_capacity(8 * 1024);
        // Writing to a string cannot fail, and neither can any of our encoders.
        if text::encode(&mut text, &self.registry).is_err() {
            text.clear();
            let _ = writeln!(text, "# EOF");
        }
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Registers and hands back, so that a family is named once.
struct Adder<'a>(&'a mut Registry);

impl Adder<'_> {
    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    fn bytes(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register_with_unit(name, help, Unit::Bytes, counter.clone());
        counter
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    fn store_bytes(&mut self) -> Gauge {
        let gauge = Gauge::default();
        self.0.register_with_unit("store", "What the data occupies on disk", Unit::Bytes, gauge.clone());
        gauge
    }

    fn recovery_seconds(&mut self) -> Gauge<f64, AtomicU64> {
        let gauge = Gauge::default();
        let help = "How long this boot took to read what was stored";
        self.0.register_with_unit("recovery", help, Unit::Seconds, gauge.clone());
        gauge
    }

    fn commit_seconds(&mut self) -> Histogram {
        let histogram = Histogram::new(COMMIT_BUCKETS);
        let help = "How long the store took for each group commit";
        self.0.register_with_unit("commit", help, Unit::Seconds, histogram.clone());
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_encoded_with_what_was_counted() {
        let metrics = Metrics::new();
        metrics.requests.succeeded(Operation::WriteItems, 1);
        metrics.requests.failed(Operation::WriteItems, Reason::WriterClosed);
        metrics.set_executions_ended(&[0, 0, 0, 1, 0]);
        metrics.refused(Refusal::Http1);
        metrics.network_bytes_sent.inc_by(7);
        metrics.commit_seconds.observe(0.002);
        metrics.set_recovery(Duration::from_millis(1500));
        let text = metrics.encode();
        for line in [
            r#"perper_requests_total{operation="write_items",outcome="ok"} 1"#,
            r#"perper_requests_total{operation="write_items",outcome="WRITER_CLOSED"} 1"#,
            r#"perper_executions_ended_total{end="deadline"} 1"#,
            r#"perper_refusals_total{reason="http1"} 1"#,
            "perper_network_sent_bytes_total 7",
            r#"perper_commit_seconds_bucket{le="0.0025"} 1"#,
            "perper_recovery_seconds 1.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line:?} is missing from\n{text}");
        }
    }

    #[test]
    fn labels_are_unique() {
        let mut labels: Vec<_> = Operation::ALL.iter().map(|operation| operation.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Operation::ALL.len());
    }

    #[test]
    fn the_documentation_has_each_family() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let documentation = std::fs::read_to_string(path).unwrap();
        for line in Metrics::new().encode().lines() {
            let Some((family, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            else {
                continue;
            };
            let name = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
            assert!(documentation.contains(&format!("| `{name}")), "{name} is not in {path}");
        }
    }
}
