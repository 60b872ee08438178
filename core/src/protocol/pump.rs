use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BufMut;
use futures_core::Stream;
use perper_proto::v1;
use prost::{
    Message as _,
    encoding::{self, WireType, encode_key, encode_varint},
};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
};
use tonic_prost::ProstCodec;

use super::{
    hub::{Hub, lock, now},
    request::{Body, Encoded},
    subscriptions::Subscription,
};

/// A frame is closed when it has grown to this many bytes. More would not be cheaper, and keeps the server waiting.
const FRAME_BYTES: usize = 256 << 10;

/// So many requests are sent without waiting for more.
const FRAME_REQUESTS: usize = 1_024;

/// A frame on its way out: the requests stay as they were encoded by those who made them.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) attach: Option<v1::Attach>,
    acknowledged: Option<u64>,
    requests: Vec<(u64, Encoded)>,
    credits: Vec<v1::Credit>,
    received: Vec<u64>,
    close: bool,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.credits.is_empty() && self.received.is_empty() && !self.close
    }
}

/// The outgoing half of a connection, polled by HTTP/2 whenever it can send: takes whatever waits as one frame. The
/// more waits, the larger the frames, with nobody deciding it.
#[derive(Debug)]
pub(super) struct Pump {
    hub: Arc<Hub>,
    link: u64,
    attach: Option<v1::Attach>,
    /// Others have had the time to add to the frame.
    gathered: bool,
}

impl Pump {
    pub(super) fn new(hub: Arc<Hub>, link: u64, attach: v1::Attach) -> Self {
        Pump { hub, link, attach: Some(attach), gathered: false }
    }
}

impl Stream for Pump {
    type Item = Outgoing;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        if let Some(attach) = self.attach.take() {
            return Poll::Ready(Some(Outgoing { attach: Some(attach), ..Outgoing::default() }));
        }
        if !self.gathered && self.hub.is_worth_waiting() {
            // Whoever asks is often one of many who have just been answered: woken for the first of them, this would send
            // a frame for each. So they all go first, if they can run now; with nobody else to run it takes no time.
            self.gathered = true;
            let _ = pin!(tokio::task::yield_now()).poll(context);
            return Poll::Pending;
        }
        self.gathered = false;
        self.hub.take_frame(self.link, context)
    }
}

impl Hub {
    /// Whether there is something to send, but not a whole frame of it, and somebody who may add to it.
    fn is_worth_waiting(&self) -> bool {
        let state = lock(&self.state);
        let queued = state.session.queued();
        queued > 0 && queued < FRAME_REQUESTS && state.session.unfinished() > queued
    }

    /// Whatever waits to be sent on that connection.
    fn take_frame(&self, link: u64, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.link != link || state.failed.is_some() {
            return Poll::Ready(None);
        }
        let mut frame = Outgoing::default();
        if state.attached && !state.farewells.is_empty() {
            frame.credits = std::mem::take(&mut state.farewells);
            for credit in &frame.credits {
                state.push_detach(credit.subscription);
            }
        } else if state.attached {
            let mut bytes = 0;
            while bytes < FRAME_BYTES
                && !state.draining
                && let Some((sequence, body)) = state.session.take()
            {
                let encoded = match body {
                    Body::Encoded(encoded) => encoded.clone(),
                    Body::Batch(writer) => {
                        let encoded = writer.seal();
                        *body = Body::Encoded(encoded.clone());
                        encoded
                    }
                };
                bytes += encoded.len();
                frame.requests.push((sequence, encoded));
            }
            for id in std::mem::take(&mut state.dirty) {
                let Some(subscribed) = state.subscriptions.get_mut(&id) else { continue };
                subscribed.dirty = false;
                let subscription = subscribed.sequence;
                // Not asked for yet on this connection: the request itself will carry the credit.
                if !state.routes.contains_key(&subscription) {
                    continue;
                }
                let (grant, acknowledged_key) = match &subscribed.to {
                    Subscription::Listen(listen) => match listen.grant() {
                        Some(grant) => (grant, None),
                        None => continue,
                    },
                    Subscription::Items(items) => match items.grant() {
                        Some(grant) => grant,
                        None => continue,
                    },
                };
                frame.credits.push(v1::Credit {
                    subscription,
                    count: grant.count,
                    bytes: grant.bytes,
                    acknowledged_key,
                });
            }
            frame.received = state.session.take_received();
            // Last: everything before it in the queue is on its way by now.
            frame.close = state.closing && !state.close_sent && !state.draining && !state.session.can_take();
            state.close_sent |= frame.close;
        }
        if frame.is_empty() && !(state.attached && std::mem::take(&mut state.heartbeat)) {
            state.pump = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.heartbeat = false;
        frame.acknowledged = state.session.take_acknowledged();
        state.lease.sent(now());
        Poll::Ready(Some(frame))
    }
}

/// Encodes our frames, and decodes the server's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameCodec;

/// Encodes a frame around requests that are encoded already.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameEncoder;

impl Codec for FrameCodec {
    type Encode = Outgoing;
    type Decode = v1::ServerFrame;
    type Encoder = FrameEncoder;
    type Decoder = <ProstCodec<v1::ClientFrame, v1::ServerFrame> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<v1::ClientFrame, v1::ServerFrame>::raw_decoder(BufferSettings::new(BUFFER, BUFFER))
    }
}

/// Steps in which buffers grow, and when a frame is handed on.
const BUFFER: usize = 64 << 10;

impl Encoder for FrameEncoder {
    type Item = Outgoing;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, BUFFER)
    }

    fn encode(&mut self, frame: Outgoing, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        encode(frame, buffer);
        Ok(())
    }
}

/// Writes a frame as `v1::ClientFrame` has it; a test compares with the generated encoder.
fn encode(frame: Outgoing, buffer: &mut impl BufMut) {
    if let Some(attach) = &frame.attach {
        encoding::message::encode(1, attach, buffer);
    }
    if let Some(acknowledged) = &frame.acknowledged {
        encoding::uint64::encode(2, acknowledged, buffer);
    }
    for (sequence, request) in frame.requests {
        let length = encoding::uint64::encoded_len(1, &sequence) + request.len();
        encode_key(3, WireType::LengthDelimited, buffer);
        encode_varint(length as u64, buffer);
        encoding::uint64::encode(1, &sequence, buffer);
        buffer.put(request.head);
        buffer.put(request.tail);
    }
    for credit in &frame.credits {
        encode_key(4, WireType::LengthDelimited, buffer);
        encode_varint(credit.encoded_len() as u64, buffer);
        credit.encode_raw(buffer);
    }
    encoding::uint64::encode_packed(5, &frame.received, buffer);
    if frame.close {
        encoding::bool::encode(6, &true, buffer);
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use perper_proto::v1::request;

    use super::*;

    #[test]
    fn a_frame_is_what_the_generated_encoder_would_write() -> Result<(), prost::DecodeError> {
        let attach = v1::Attach { session: Bytes::from_static(b"0123456789abcdef"), ..v1::Attach::default() };
        let get = request::Request::GetStream(v1::GetStreamRequest { stream: "s".into() });
        let credit = v1::Credit { subscription: 3, count: 5, bytes: 6, acknowledged_key: Some(-7) };
        let expected = v1::ClientFrame {
            attach: Some(attach.clone()),
            acknowledged: 300,
            requests: vec![
                v1::Request { sequence: 301, request: Some(get.clone()) },
                v1::Request { sequence: 1 << 40, request: Some(get.clone()) },
            ],
            credits: vec![credit],
            received: vec![9, 1 << 33],
            close: true,
        };
        let frame = Outgoing {
            attach: Some(attach),
            acknowledged: Some(300),
            requests: vec![(301, Encoded::new(get.clone())), (1 << 40, Encoded::new(get))],
            credits: vec![credit],
            received: vec![9, 1 << 33],
            close: true,
        };
        let mut buffer = BytesMut::new();
        encode(frame, &mut buffer);
        assert_eq!(buffer, expected.encode_to_vec());
        assert_eq!(v1::ClientFrame::decode(buffer.freeze())?, expected);
        Ok(())
    }
}
