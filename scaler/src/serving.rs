//! Health and metrics over plain HTTP.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::Metrics;

/// Scrapers and probes need a few; further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may be silent before its connection is closed.
const IDLE: Duration = Duration::from_secs(90);

/// How long who asks for the health of a Scaler waits: less than probes do.
const ASKING: Duration = Duration::from_secs(3);
/// Bytes of the answer, which is a line: whoever else listens there may have more to say.
const MAX_ANSWER: u64 = 16 << 10;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Whether the Scaler works.
#[derive(Debug, Default)]
pub struct Health {
    /// The Fabric has told of everything there was.
    observed: AtomicBool,
    /// The last comparison went well, or another replica makes them.
    compared: AtomicBool,
}

impl Health {
    pub(crate) fn set_observed(&self, observed: bool) {
        self.observed.store(observed, Ordering::Relaxed);
    }

    pub(crate) fn set_compared(&self, compared: bool) {
        self.compared.store(compared, Ordering::Relaxed);
    }

    /// What is not as it should be; none if all is well.
    pub fn complaint(&self) -> Option<&'static str> {
        if !self.observed.load(Ordering::Relaxed) {
            Some("the Fabric has not told yet what there is")
        } else if !self.compared.load(Ordering::Relaxed) {
            Some("what runs could not be compared with what should")
        } else {
            None
        }
    }
}

/// Serves `/metrics`, `/livez` and `/readyz` until it is dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Serving {
    /// Begins to serve.
    pub async fn start(
        address: SocketAddr,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, metrics, health, stop.clone())));
        Ok(Serving { address, _stop: stop.drop_guard() })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Asks the Scaler that serves at an address whether it works; if it does not, the error says why.
pub fn ask_health(address: SocketAddr) -> Result<(), String> {
    let ask = || {
        let mut stream = std::net::TcpStream::connect_timeout(&address, ASKING)?;
        stream.set_read_timeout(Some(ASKING))?;
        stream.write_all(
            format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error: std::io::Error| format!("the Scaler at {address}: {error}"))?;
    match answer.split_once("\r\n\r\n") {
        Some((head, _)) if head.starts_with("HTTP/1.1 200 ") => Ok(()),
        Some((_, complaint)) => Err(complaint.trim().to_owned()),
        None => Err(format!("what answers at {address} is no Scaler")),
    }
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>, health: Arc<Health>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, perhaps: trying again at once would only burn time.
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (metrics, health) = (Arc::clone(&metrics), Arc::clone(&health));
        let service = service_fn(move |request: Request<Incoming>| {
            let response = respond(&request, &metrics, &health);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), service);
        let stop = stop.clone();
        tokio::spawn(async move {
            if let Some(Err(error)) = stop.run_until_cancelled(connection).await {
                tracing::debug!(%error, "a connection for metrics ended");
            }
            drop(place);
        });
    }
}

fn respond(request: &Request<Incoming>, metrics: &Metrics, health: &Health) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" | "/livez" | "/readyz" if !is_read => {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "this can only be read\n".to_owned())
        }
        "/metrics" => (StatusCode::OK, OPEN_METRICS, metrics.encode()),
        "/livez" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match health.complaint() {
            None => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            Some(complaint) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{complaint}\n")),
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "there are /metrics, /livez and /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
