use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use perper_proto::v1::response;
use tokio::sync::oneshot;

use super::request::Answer;
use crate::{Error, ErrorKind, Result};

/// The answer of a request that has been made already.
///
/// Requests are queued, in order, when the method is *called*; awaiting the reply only waits for the outcome. So a
/// program may make several requests that build on each other and await them afterwards: the Fabric takes what one
/// session asks in the order in which it was asked, and whatever is sent again after a reconnect goes first and in
/// that same order. A reference to something whose creation was requested before is therefore never seen by anybody
/// before the thing exists, unless its creation failed, which its own reply tells.
///
/// Dropping a reply does not withdraw the request.
#[must_use = "a request may fail; await the reply, or drop it explicitly if the outcome does not matter"]
#[derive(Debug)]
pub struct Reply<T> {
    state: State,
    decode: fn(Option<response::Response>) -> Result<T>,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Answer>),
    /// Refused before it was sent.
    Refused(Option<Error>),
}

impl<T> Reply<T> {
    pub(crate) fn new(
        receiver: oneshot::Receiver<Answer>,
        decode: fn(Option<response::Response>) -> Result<T>,
    ) -> Self {
        Reply { state: State::Waiting(receiver), decode }
    }

    pub(crate) fn refused(error: Error, decode: fn(Option<response::Response>) -> Result<T>) -> Self {
        Reply { state: State::Refused(Some(error)), decode }
    }
}

impl<T> Future for Reply<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let decode = self.decode;
        match &mut self.state {
            State::Waiting(receiver) => {
                let answer = ready!(Pin::new(receiver).poll(context)).unwrap_or_else(|_| Err(closed()));
                Poll::Ready(answer.and_then(decode))
            }
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or_else(closed))),
        }
    }
}

/// What everybody gets who still waits when the client is closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "this client of the Fabric has been closed; connect again")
}

/// For operations that answer nothing beyond success.
pub(crate) fn nothing(_: Option<response::Response>) -> Result<()> {
    Ok(())
}

/// For an answer of another kind than the request's.
pub(crate) fn unexpected<T>(operation: &str) -> Result<T> {
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "the Fabric answered {operation} with an answer of another operation; update the older of the two"
        ),
    ))
}
