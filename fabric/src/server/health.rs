//! `grpc.health.v1`: whether this server is one to send work to.

use perper_proto::v1;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The names that can be asked for: the server as a whole (the empty name), and each service.
const NAMES: [&str; 8] = [
    "",
    v1::sessions_server::SERVICE_NAME,
    v1::executions_server::SERVICE_NAME,
    v1::instances_server::SERVICE_NAME,
    v1::streams_server::SERVICE_NAME,
    v1::states_server::SERVICE_NAME,
    v1::inspection_server::SERVICE_NAME,
    v1::administration_server::SERVICE_NAME,
];

/// Tells probes and load balancers how the server is.
#[derive(Clone, Debug)]
pub(super) struct Health {
    reporter: HealthReporter,
}

impl Health {
    pub(super) fn new(reporter: HealthReporter) -> Self {
        Self { reporter }
    }

    /// Ready for work, or not.
    pub(super) async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }

    /// Not ready, and never again: also ends the streams of those who watch, which would hold their connections open.
    pub(super) async fn end(&mut self) {
        self.set(false).await;
        for name in NAMES {
            self.reporter.clear_service_status(name).await;
        }
    }
}
