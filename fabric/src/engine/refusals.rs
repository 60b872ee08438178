//! What a listener is told when its place in a stream is not its own any more, by the engine and the broker alike.

use perper_proto::{Reason, v1};

/// A later attach has the listener.
pub(crate) fn taken_over(stream: &str, listener: &str) -> v1::Error {
    Reason::ListenerTakenOver
        .error(format!(
            "another client attached listener {listener:?} of stream {stream:?} and goes on from here"
        ))
        .with("stream", stream)
        .with("listener", listener)
}

/// The listener is no more.
pub(crate) fn listener_removed(stream: &str, listener: &str) -> v1::Error {
    Reason::NotFound
        .error(format!("listener {listener:?} of stream {stream:?} was removed"))
        .with("stream", stream)
        .with("listener", listener)
}
