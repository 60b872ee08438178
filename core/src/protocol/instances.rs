use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use perper_proto::v1::{self, request, response};

use super::{
    executions::{end_to_result, milliseconds},
    fabric::Fabric,
    machines::session::Class,
    reply::{self, Reply},
};
use crate::Result;

/// An instance to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewInstance {
    /// The agent.
    pub agent: String,
    /// Id of the instance; see [`Fabric::new_id`].
    pub instance: String,
    /// Arguments of its `Start` delegate, each one CBOR value.
    pub arguments: Vec<Bytes>,
    /// Text to text, handed to `Start`.
    pub headers: BTreeMap<String, String>,
    /// The instance that owns this one.
    pub owner: Option<String>,
    /// Time for `Start`.
    pub timeout: Option<Duration>,
    /// A token made by the creator; see `docs/values.md`.
    pub capability: Bytes,
}

/// An instance that has been started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedInstance {
    /// What `Start` returned.
    pub results: Vec<Bytes>,
    /// Which life of the instance this is, as the Fabric counts.
    pub incarnation: u64,
}

impl Fabric {
    /// Starts an instance of an agent: registers it, so that scalers see it, and calls its `Start` delegate. When
    /// `Start` fails, the instance is removed again, and the error is what `Start` raised.
    pub fn start_instance(&self, instance: NewInstance) -> Reply<StartedInstance> {
        let request = v1::StartInstanceRequest {
            agent: instance.agent,
            instance: instance.instance,
            arguments: instance.arguments,
            headers: instance.headers,
            owner: instance.owner.map(|instance| v1::Owner { instance }),
            remaining_ms: milliseconds(instance.timeout),
            capability: instance.capability,
            identity: None,
        };
        self.request(Class::Mutation, request::Request::StartInstance(request), started)
    }

    /// Stops an instance: calls its `Stop` delegate (unless `force`), then cancels what is left and destroys what it
    /// owns. `timeout` is the time for `Stop`; `None` takes the server's default. False when there was no such
    /// instance.
    pub fn stop_instance(
        &self,
        instance: impl Into<String>,
        force: bool,
        timeout: Option<Duration>,
    ) -> Reply<bool> {
        let request = v1::StopInstanceRequest {
            instance: instance.into(),
            force,
            remaining_ms: milliseconds(timeout),
            identity: None,
        };
        self.request(Class::Mutation, request::Request::StopInstance(request), |answer| match answer {
            Some(response::Response::StopInstance(response)) => Ok(response.existed),
            None => Ok(false),
            Some(_) => reply::unexpected("StopInstance"),
        })
    }
}

fn started(answer: Option<response::Response>) -> Result<StartedInstance> {
    match answer {
        Some(response::Response::StartInstance(response)) => {
            Ok(StartedInstance { results: end_to_result(response.end)?, incarnation: response.incarnation })
        }
        _ => reply::unexpected("StartInstance"),
    }
}
