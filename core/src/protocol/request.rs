use std::sync::Arc;

use bytes::{Buf, Bytes};
use perper_proto::v1::{self, request, response};
use prost::Message as _;
use tokio::sync::oneshot;

use super::writer::WriterShared;
use crate::Result;

/// A request as it goes on the wire, without its sequence: the operation's field of `v1::Request`.
///
/// Encoded once, where it is made: sending it again after a reconnect costs nothing, and the pump only concatenates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) head: Bytes,
    /// The rest, where it is large enough not to be copied together with the head.
    pub(crate) tail: Bytes,
}

impl Encoded {
    pub(crate) fn new(operation: request::Request) -> Self {
        let request = v1::Request { sequence: 0, request: Some(operation) };
        Encoded { head: request.encode_to_vec().into(), tail: Bytes::new() }
    }

    /// How long an operation is, encoded.
    pub(crate) fn len_of(operation: &request::Request) -> u64 {
        operation.encoded_len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.head.remaining() + self.tail.remaining()
    }
}

/// What is kept of a request until it is answered.
#[derive(Debug)]
pub(crate) enum Body {
    /// Ready to send, and to send again.
    Encoded(Encoded),
    /// The next batch of a writer: what it has gathered by the time that the pump gets here.
    Batch(Arc<WriterShared>),
}

/// What the answer of a request says; `None` is plain success.
pub(crate) type Answer = Result<Option<response::Response>>;

/// Who waits for the answer of a request.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// Whoever holds the reply.
    Reply(oneshot::Sender<Answer>),
    /// Whoever holds the call: the end of an execution.
    End(oneshot::Sender<Result<Vec<Bytes>>>),
    /// As `Reply`; success also ends that reservation.
    Reservation(Bytes, oneshot::Sender<Answer>),
    /// The writer whose batch it was.
    Batch(Arc<WriterShared>),
    /// The subscription that it asked for.
    Subscription(u64),
    /// Nobody: the outcome does not matter.
    Nobody,
}
