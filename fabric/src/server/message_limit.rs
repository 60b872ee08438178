//! Refuses messages that are too large, before they are read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use perper_proto::Reason;
use pin_project_lite::pin_project;
use tonic::Status;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes in front of a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

pin_project! {
    /// The body of a request, cut off with `LIMIT_EXCEEDED` at the first message that is longer than allowed.
    ///
    /// It follows the lengths in front of the messages, so nothing of a message that is too long is kept in memory.
    /// tonic has a limit of its own, whose status has no reason in it.
    pub(super) struct MessageLimit<B> {
        #[pin]
        inner: B,
        lengths: Lengths,
        refused: Option<Box<dyn FnOnce(u64) + Send>>,
    }
}

impl<B> MessageLimit<B> {
    /// A body with messages of up to `limit` bytes. `refused` hears of the length of one that was not.
    pub(super) fn new(inner: B, limit: u64, refused: impl FnOnce(u64) + Send + 'static) -> Self {
        Self { inner, lengths: Lengths::new(limit), refused: Some(Box::new(refused)) }
    }
}

impl<B> Body for MessageLimit<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let Some(frame) = ready!(this.inner.poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(Into::into)?;
        if let Some(data) = frame.data_ref()
            && let Err(length) = this.lengths.follow(data)
        {
            if let Some(refused) = this.refused.take() {
                refused(length);
            }
            return Poll::Ready(Some(Err(status(length, this.lengths.limit).into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn status(length: u64, limit: u64) -> Status {
    Reason::LimitExceeded
        .error(format!(
            "a message of {length} bytes, and this server takes {limit} at most (message_bytes in HelloResponse); \
             send less at once, or raise --limit-message-bytes"
        ))
        .with("limit", "message_bytes")
        .with("allowed", limit)
        .with("requested", length)
        .to_status()
}

/// Follows the lengths in front of the messages of a body that comes in arbitrary pieces.
struct Lengths {
    limit: u64,
    /// What there is of the next message's prefix.
    prefix: [u8; PREFIX],
    prefix_filled: usize,
    /// What is to come of the current message.
    remaining: u64,
}

impl Lengths {
    fn new(limit: u64) -> Self {
        Self { limit, prefix: [0; PREFIX], prefix_filled: 0, remaining: 0 }
    }

    /// The length of a message that is too long, as an error.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), u64> {
        while !data.is_empty() {
            if self.remaining > 0 {
                let count = self.remaining.min(data.len() as u64);
                self.remaining -= count;
                data = &data[count as usize..];
                continue;
            }
            let count = (PREFIX - self.prefix_filled).min(data.len());
            self.prefix[self.prefix_filled..self.prefix_filled + count].copy_from_slice(&data[..count]);
            self.prefix_filled += count;
            data = &data[count..];
            if self.prefix_filled == PREFIX {
                self.prefix_filled = 0;
                let [_, length @ ..] = self.prefix;
                self.remaining = u64::from(u32::from_be_bytes(length));
                if self.remaining > self.limit {
                    return Err(self.remaining);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &length in lengths {
            bytes.push(0);
            bytes.extend_from_slice(&(length as u32).to_be_bytes());
            bytes.resize(bytes.len() + length, 0xff);
        }
        bytes
    }

    #[test]
    fn lengths_are_followed_however_the_body_is_cut() {
        let good = messages(&[0, 1, 100, 7, 0, 100]);
        let bad = messages(&[3, 100, 101]);
        for piece in 1..=good.len() {
            let mut lengths = Lengths::new(100);
            assert!(good.chunks(piece).all(|data| lengths.follow(data).is_ok()), "pieces of {piece}");
            let mut lengths = Lengths::new(100);
            assert_eq!(
                bad.chunks(piece).find_map(|data| lengths.follow(data).err()),
                Some(101),
                "pieces of {piece}"
            );
        }
    }
}
