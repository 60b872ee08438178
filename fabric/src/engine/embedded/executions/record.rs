//! How executions stand in the store: space `Executions`, key (number, part).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;
use prost::Message;

use crate::engine::embedded::token::group_hash;
use crate::engine::{EndReason, Ended, Execution, SessionId, Timestamp};

/// What a key holds. Numbers are on disk, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// The execution as it was created.
    Created = 0,
    /// Its end.
    End = 1,
    /// Present once a stream's execution may run.
    Started = 2,
    /// Present once an instance is being stopped; with one byte if its Stop is not to be called.
    Stopping = 3,
    /// Attempts that were lost, for each work group: a hash of its name, and the number.
    Attempts = 4,
}

impl Part {
    pub(super) fn from_number(number: u8) -> Option<Part> {
        [Part::Created, Part::End, Part::Started, Part::Stopping, Part::Attempts]
            .into_iter()
            .find(|part| *part as u8 == number)
    }
}

pub(super) fn key(number: u64, part: Part) -> [u8; 9] {
    let mut key = [0; 9];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8] = part as u8;
    key
}

pub(super) fn read_key(key: &[u8]) -> Option<(u64, Part)> {
    let (number, part) = key.split_first_chunk::<8>()?;
    let [part] = part else { return None };
    Some((u64::from_be_bytes(*number), Part::from_number(*part)?))
}

/// The key of the number, in space `Meta`, up to which numbers may have been given away: those of executions that are gone
/// as well, whose sessions or scalers may still speak of them.
pub(super) const NUMBERS: &[u8] = b"execution-numbers";

/// Numbers that are put on record at once.
pub(super) const RECORDED_AHEAD: u64 = 4_096;

/// Attempts by work group, as their part holds them.
pub(super) fn write_attempts(groups: impl Iterator<Item = (u64, u32)>) -> Vec<u8> {
    groups
        .flat_map(|(group, attempts)| [&group.to_be_bytes()[..], &attempts.to_be_bytes()].concat())
        .collect()
}

pub(super) fn read_attempts(bytes: &[u8]) -> Option<Vec<(u64, u32)>> {
    // Before work groups were told apart: the number alone, for all of them.
    if let Ok(attempts) = bytes.try_into() {
        return Some(vec![(group_hash(""), u32::from_be_bytes(attempts))]);
    }
    let (groups, rest) = bytes.as_chunks::<12>();
    let read = |group: &[u8; 12]| {
        let (group, attempts) = group.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*group), u32::from_be_bytes(attempts.try_into().ok()?)))
    };
    groups.iter().map(read).collect::<Option<Vec<_>>>().filter(|_| rest.is_empty())
}

/// The execution as it was created.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CreatedRecord {
    #[prost(message, optional, tag = "1")]
    request: Option<v1::CreateExecutionRequest>,
    #[prost(uint64, tag = "2")]
    incarnation: u64,
    #[prost(uint64, tag = "3")]
    created: u64,
    #[prost(uint64, tag = "4")]
    deadline: u64,
    #[prost(bytes = "bytes", tag = "5")]
    caller: Bytes,
}

impl CreatedRecord {
    /// The record of an execution that is made from `request`.
    pub(super) fn new(facts: &Facts, mut request: v1::CreateExecutionRequest) -> Self {
        request.identity = None;
        Self {
            request: Some(request),
            incarnation: facts.incarnation,
            created: facts.created.0,
            deadline: facts.deadline.map_or(0, |deadline| deadline.0),
            caller: facts.caller.map_or_else(Bytes::new, |caller| Bytes::copy_from_slice(&caller.to_bytes())),
        }
    }

    pub(super) fn into_execution(self, number: u64, intern: &mut dyn FnMut(&str) -> Arc<str>) -> Execution {
        let facts = Facts {
            number,
            incarnation: self.incarnation,
            created: Timestamp(self.created),
            deadline: (self.deadline > 0).then_some(Timestamp(self.deadline)),
            caller: SessionId::from_bytes(&self.caller),
        };
        execution(self.request.unwrap_or_default(), facts, intern)
    }
}

/// What an execution has beyond the request that made it.
pub(super) struct Facts {
    pub(super) number: u64,
    pub(super) incarnation: u64,
    pub(super) created: Timestamp,
    pub(super) deadline: Option<Timestamp>,
    pub(super) caller: Option<SessionId>,
}

/// Builds an execution that stays in memory: small payloads are copied, so that they do not keep the receive buffer of a
/// whole frame alive, and names that recur are shared.
pub(super) fn execution(
    request: v1::CreateExecutionRequest,
    facts: Facts,
    intern: &mut dyn FnMut(&str) -> Arc<str>,
) -> Execution {
    Execution {
        number: facts.number,
        id: Arc::from(request.execution),
        agent: intern(&request.agent),
        instance: intern(&request.instance),
        incarnation: facts.incarnation,
        delegate: intern(&request.delegate),
        arguments: request.arguments.iter().map(detach).collect(),
        headers: request.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        parent: request
            .parent
            .map(|parent| Box::new((Arc::from(parent.execution), detach(&parent.reservation)))),
        owner: request.owner.filter(|owner| !owner.instance.is_empty()).map(|owner| intern(&owner.instance)),
        caller: facts.caller,
        created: facts.created,
        deadline: facts.deadline,
        linked_stream: (!request.linked_stream.is_empty()).then(|| Arc::from(request.linked_stream)),
        starts_on_listener: request.starts_on_listener,
        manual: request.manual,
    }
}

/// Bytes that keep nothing else alive.
fn detach(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Headers in the protocol's form.
pub(super) fn headers(execution: &Execution) -> BTreeMap<String, String> {
    execution.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The end of an execution.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EndRecord {
    #[prost(uint32, tag = "1")]
    reason: u32,
    #[prost(message, optional, tag = "2")]
    end: Option<v1::End>,
}

impl EndRecord {
    pub(super) fn new(reason: EndReason, end: &v1::End) -> Self {
        Self { reason: reason as u32, end: Some(end.clone()) }
    }

    pub(super) fn into_ended(self, execution: Arc<Execution>) -> Option<Ended> {
        let reason = [
            EndReason::Completed,
            EndReason::Cancelled,
            EndReason::Deadline,
            EndReason::Expired,
            EndReason::OwnerGone,
            EndReason::AttemptsExhausted,
        ]
        .into_iter()
        .find(|reason| *reason as u32 == self.reason)?;
        Some(Ended { execution, end: self.end.unwrap_or_default(), reason })
    }
}
