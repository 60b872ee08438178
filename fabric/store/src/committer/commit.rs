//! The end of a commit, to be waited for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::queue::Completion;
use crate::{Error, ErrorKind, Result};

/// A batch on its way to the store: a future of how it went.
#[derive(Debug)]
#[must_use = "a batch is only as durable as configured once its commit is over"]
pub struct Commit(State);

#[derive(Debug)]
enum State {
    Ready(Result<()>),
    Waiting(oneshot::Receiver<Result<()>>),
}

impl Commit {
    pub(super) fn ready(result: Result<()>) -> Self {
        Self(State::Ready(result))
    }

    pub(super) fn waiting() -> (Completion, Self) {
        let (sender, receiver) = oneshot::channel();
        (Completion::Oneshot(sender), Self(State::Waiting(receiver)))
    }

    /// Waits on a thread that may block; panics on a thread that runs asynchronous tasks.
    pub fn wait(self) -> Result<()> {
        match self.0 {
            State::Ready(result) => result,
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(lost())),
        }
    }
}

impl Future for Commit {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(result.clone()),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|told| told.unwrap_or_else(|_| Err(lost())))
            }
        }
    }
}

/// The committer went without a word, which it does not do as long as its thread lives.
fn lost() -> Error {
    Error::new(ErrorKind::Poisoned, "the committer ended before the batch was committed; restart the server")
}
