//! What happens to a request between its connection and the services.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service as HyperService;
use perper_proto::Together;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;
use tracing::warn;

use super::log_gate::LogGate;
use super::message_limit::MessageLimit;
use crate::security::Bearer;

/// The services as one connection sees them: each request learns where it comes from, and its messages are limited.
pub(super) struct Ingress {
    pub(super) services: Bearer<Routes>,
    pub(super) peer: TcpConnectInfo,
    pub(super) message_bytes: u64,
    pub(super) gate: Arc<LogGate>,
    /// For what a service has to do beside its answer.
    pub(super) together: Together,
}

impl HyperService<Request<Incoming>> for Ingress {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Bearer<Routes> as Service<Request<MessageLimit<Incoming>>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        request.extensions_mut().insert(self.together.clone());
        let (limit, gate, peer) = (self.message_bytes, self.gate.clone(), self.peer.remote_addr());
        let method = request.uri().path().to_owned();
        let request = request.map(|body| {
            MessageLimit::new(body, limit, move |length| {
                if let Some(unlogged) = gate.open() {
                    let peer = peer.map(tracing::field::display);
                    warn!(
                        peer,
                        method,
                        length,
                        limit,
                        unlogged,
                        "refused: a message is larger than --limit-message-bytes"
                    );
                }
            })
        });
        // Ready at any time: neither the layer nor the routes hold anything back.
        self.services.clone().call(request)
    }
}
