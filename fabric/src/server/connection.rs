//! One connection, from the first byte to the last.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use perper_proto::Together;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tracing::{debug, warn};

use super::greeting::{self, Greeting, TLS_HANDSHAKE};
use super::ingress::Ingress;
use super::log_gate::LogGate;
use super::metered::Metered;
use crate::config::Config;
use crate::metrics::{Metrics, Refusal};
use crate::security::{Bearer, TlsContext, explain};

/// How long a client may take until it has said, in TLS if need be, that it speaks HTTP/2.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that a client may send on one RPC before we have taken them: enough for a batch of items to be on its way
/// over a link of 1 Gbit/s and 30 ms. The services drain their streams at all times, so it is rarely used up.
const STREAM_WINDOW: u32 = 4 << 20;

/// The same for all RPCs of a connection: the most that a connection can make us keep.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The longest HTTP/2 frame that a client may send: as long as what clients put into one message. Longer than the 16 KiB
/// of the standard, since each costs a system call, and short enough not to hold up others.
const FRAME: u32 = 256 << 10;

/// Bytes that may wait for a slow client on one RPC before its service has to wait.
const SEND_BUFFER: usize = 1 << 20;

/// Request headers; ours are few.
const HEADERS: u32 = 16 << 10;

/// A client that is silent for this long is asked whether it is still there. Sessions have heartbeats of their own;
/// this is for connections without one, and keeps the way through NAT open.
const PING_INTERVAL: Duration = Duration::from_secs(60);

/// How long it may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What all connections of a server share.
pub(super) struct Connections {
    tls: Option<Arc<TlsContext>>,
    services: Bearer<Routes>,
    metrics: Arc<Metrics>,
    message_bytes: u64,
    /// RPCs on one connection at a time.
    rpcs: u32,
    /// Cancelled when the server stops: connections take no new requests and end when those in flight are answered.
    stop: CancellationToken,
    /// How long that may take.
    grace: Duration,
    /// Knows when the last one is closed.
    tasks: TaskTracker,
    /// One for each kind of refusal, so that one does not hide another.
    gates: Vec<LogGate>,
    large_messages: Arc<LogGate>,
}

impl Connections {
    pub(super) fn new(
        config: &Config,
        tls: Option<Arc<TlsContext>>,
        services: Bearer<Routes>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            tls,
            services,
            metrics,
            message_bytes: config.limits.message_bytes,
            rpcs: config.max_rpcs_per_connection,
            stop,
            grace: config.shutdown_grace,
            tasks,
            gates: Refusal::ALL.iter().map(|_| LogGate::default()).collect(),
            large_messages: Arc::default(),
        }
    }

    /// Serves a connection in a task of its own. The permit is given back when it is closed.
    pub(super) fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let this = self.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            this.metrics.connections_accepted.inc();
            this.metrics.connections.inc();
            let _open = OnDrop(|| {
                this.metrics.connections.dec();
            });
            this.serve(stream, peer).await;
        });
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        // Requests and answers are small and somebody waits for each: no gathering of packets.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "TCP_NODELAY cannot be set");
        }
        let info = TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(peer) };
        match &self.tls {
            None => {
                let mut stream = stream;
                if let Some(preface) = self.greet(&mut stream, peer, false).await {
                    self.serve_http2(stream, preface, info, peer).await;
                }
            }
            Some(tls) => {
                let greeted = self.within_greeting(peer, async {
                    let mut stream = self.shake_hands(tls, stream, peer).await?;
                    let preface = self.greet(&mut stream, peer, true).await?;
                    Some((stream, preface))
                });
                if let Some((stream, preface)) = greeted.await {
                    self.serve_http2(stream, preface, info, peer).await;
                }
            }
        }
    }

    async fn shake_hands(
        &self,
        tls: &TlsContext,
        mut stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if first[0] == TLS_HANDSHAKE => {}
            Ok(_) => {
                // Looking on tells which plain text it is; all that matters to the count is that it is.
                if let Ok(Greeting::Other(Refusal::Http1)) = greeting::read(&mut stream).await {
                    answer(&mut stream, greeting::http1_answer(true)).await;
                }
                self.refuse(
                    Refusal::PlainText,
                    peer,
                    "the client speaks plain text and this port TLS; connect with https",
                );
                return None;
            }
        }
        match tls.accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                self.refuse(
                    Refusal::TlsHandshake,
                    peer,
                    &format!("the TLS handshake failed: {}", explain(&error)),
                );
                None
            }
        }
    }

    /// The bytes read so far, if they begin an HTTP/2 connection.
    async fn greet(
        &self,
        io: &mut (impl AsyncRead + AsyncWrite + Unpin),
        peer: SocketAddr,
        tls: bool,
    ) -> Option<Bytes> {
        let refusal = match self.within_greeting(peer, async { Some(greeting::read(io).await) }).await? {
            Ok(Greeting::Http2(preface)) => return Some(preface),
            Ok(Greeting::Closed) => {
                debug!(%peer, "closed without a word");
                return None;
            }
            Ok(Greeting::Other(refusal)) => refusal,
            Err(error) => {
                debug!(%peer, %error, "broken off before the first request");
                return None;
            }
        };
        let message = match refusal {
            Refusal::UnexpectedTls => {
                "the client speaks TLS and this port plain text; give the server --tls-cert and --tls-key, or connect with http"
            }
            Refusal::Http1 => {
                answer(io, greeting::http1_answer(tls)).await;
                "the client speaks HTTP/1 and this port gRPC, which is HTTP/2"
            }
            _ => "the client speaks neither HTTP nor TLS; this port is for gRPC",
        };
        self.refuse(refusal, peer, message);
        None
    }

    async fn within_greeting<T>(
        &self,
        peer: SocketAddr,
        greeted: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        // A server that stops does not wait for those who have not asked for anything yet.
        match self.stop.run_until_cancelled(timeout(GREETING_TIMEOUT, greeted)).await? {
            Ok(greeted) => greeted,
            Err(_) => {
                self.refuse(Refusal::Silent, peer, "the client did not begin to speak HTTP/2 in time");
                None
            }
        }
    }

    /// HTTP/2 as we serve it, with everything of the connection in one task.
    fn http2(&self, together: Together) -> http2::Builder<Together> {
        let mut http2 = http2::Builder::new(together);
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(HEADERS)
            .max_concurrent_streams(self.rpcs)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .auto_date_header(false);
        http2
    }

    async fn serve_http2(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        preface: Bytes,
        info: TcpConnectInfo,
        peer: SocketAddr,
    ) {
        debug!(%peer, "connected");
        let together = Together::default();
        let ingress = Ingress {
            services: self.services.clone(),
            peer: info,
            message_bytes: self.message_bytes,
            gate: self.large_messages.clone(),
            together: together.clone(),
        };
        let io = TokioIo::new(Metered::new(io, preface, self.metrics.clone()));
        let mut connection = pin!(self.http2(together.clone()).serve_connection(io, ingress));
        // A child has a lock of its own: with the shared token, each wake-up of every connection would take the same.
        let stop = self.stop.child_token();
        let served = async {
            tokio::select! {
                biased;
                result = connection.as_mut() => Some(result),
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    timeout(self.grace, connection).await.ok()
                }
            }
        };
        let Some(result) = together.run(served).await else {
            debug!(%peer, "cut off: the grace is over");
            return;
        };
        match result {
            Ok(()) => debug!(%peer, "disconnected"),
            Err(error) if is_clients_end(&error) => debug!(%peer, error = chain(&error), "disconnected"),
            Err(error) => {
                self.refuse(Refusal::Http2, peer, &format!("the client broke HTTP/2: {}", chain(&error)))
            }
        }
    }

    fn refuse(&self, refusal: Refusal, peer: SocketAddr, message: &str) {
        self.metrics.refused(refusal);
        if let Some(unlogged) = self.gates[refusal as usize].open() {
            warn!(%peer, reason = refusal.label(), unlogged, "connection refused: {message}");
        }
    }
}

/// Says something to a client that is then closed; whether it listens does not matter.
async fn answer(io: &mut (impl AsyncWrite + Unpin), text: String) {
    let said: io::Result<()> = async {
        io.write_all(text.as_bytes()).await?;
        io.shutdown().await
    }
    .await;
    if let Err(error) = said {
        debug!(%error, "the client did not wait for the answer");
    }
}

/// Whether a connection ended because the client went, or said that it would.
fn is_clients_end(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<io::Error>() {
            return true;
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_io() || error.is_remote();
        }
        source = error.source();
    }
    false
}

/// An error with what it comes from.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Does something at the end, however that comes.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
