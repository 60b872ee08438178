//! The gRPC services: each takes requests off the wire, hands them to the [`Broker`], and puts the outcome on the wire.
//! There is no logic here.

mod administration;
mod executions;
mod inspection;
mod instances;
mod keda;
mod sessions;
mod states;
mod streams;
mod watch;

use std::sync::Arc;

use perper_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use perper_proto::v1;
use tonic::service::Routes;
use tonic::{Response, Status};
use v1::administration_server::AdministrationServer;
use v1::executions_server::ExecutionsServer;
use v1::inspection_server::InspectionServer;
use v1::instances_server::InstancesServer;
use v1::sessions_server::SessionsServer;
use v1::states_server::StatesServer;
use v1::streams_server::StreamsServer;

use crate::broker::Broker;
use crate::engine::Outcome;

/// All services over one broker.
pub(crate) fn routes(broker: &Arc<Broker>) -> Routes {
    let limit = usize::try_from(broker.config().limits.message_bytes).unwrap_or(usize::MAX);
    macro_rules! server {
        ($server:ident) => {
            $server::new(Service(Arc::clone(broker)))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(limit)
        };
    }
    Routes::new(server!(SessionsServer))
        .add_service(server!(ExecutionsServer))
        .add_service(server!(InstancesServer))
        .add_service(server!(StreamsServer))
        .add_service(server!(StatesServer))
        .add_service(server!(InspectionServer))
        .add_service(server!(AdministrationServer))
        .add_service(server!(ExternalScalerServer))
}

/// Serves every service of the protocol.
#[derive(Clone)]
pub(crate) struct Service(Arc<Broker>);

/// The answer of an operation that says nothing beyond "done".
fn done<T: Default>(outcome: Outcome) -> Result<Response<T>, Status> {
    outcome?;
    Ok(Response::new(T::default()))
}

/// The answer of an operation, out of the one place where all kinds of answers are.
macro_rules! answer {
    ($outcome:expr, $kind:ident) => {
        match $outcome? {
            Some(perper_proto::v1::response::Response::$kind(response)) => Ok(tonic::Response::new(response)),
            other => {
                let message = format!("the engine answered {other:?} to {}", stringify!($kind));
                Err(perper_proto::Reason::Internal.error(message).into())
            }
        }
    };
}
use answer;
