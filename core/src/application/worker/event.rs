use bytes::Bytes;

use crate::{ErrorKind, Failure, extensions::Context, protocol::LinkedStream};

/// What a worker tells.
#[derive(Debug)]
pub enum Event {
    /// Call a handler, and hand its outcome to [`Worker::complete`](super::Worker::complete).
    Activation(Box<Invocation>),
    /// Stop a handler: nobody waits for its outcome any more. Its context's
    /// [`cancellation`](Context::cancellation) has been cancelled already.
    Cancellation {
        /// The invocation's id.
        invocation: u64,
        /// [`ExecutionCancelled`](ErrorKind::ExecutionCancelled), [`DeadlineExceeded`](ErrorKind::DeadlineExceeded),
        /// [`OwnerGone`](ErrorKind::OwnerGone) or [`ReservationLost`](ErrorKind::ReservationLost).
        reason: ErrorKind,
    },
    /// Nothing comes after this: the worker has stopped, or the listen has failed.
    Shutdown(Option<crate::Error>),
}

/// Which of an agent's functions is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvocationKind {
    /// A delegate.
    Delegate,
    /// Once per process.
    Deploy,
    /// Before an instance enters, in each process.
    Upgrade,
    /// When an instance enters, in each process.
    Enter,
}

/// A handler to be called.
#[derive(Debug)]
pub struct Invocation {
    /// Names it to the worker.
    pub id: u64,
    /// Which function.
    pub kind: InvocationKind,
    /// The delegate; empty for the other kinds. `Startup` for a call of `Start`, where that is the handler's name.
    pub delegate: String,
    /// Each argument one CBOR value.
    pub arguments: Vec<Bytes>,
    /// For a stream's generator: where it writes, and what earlier attempts left there.
    pub linked_stream: Option<LinkedStream>,
    /// How many of the generator's items are in the stream already and are not to be written again.
    pub skip_items: u64,
    /// What to set around the handler.
    pub context: Context,
}

/// What came of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// None, one or several results, each one CBOR value.
    Completed(Vec<Bytes>),
    /// The handler raised an error.
    Failed(Failure),
    /// It was given up unharmed: another worker shall have it.
    Released,
}
