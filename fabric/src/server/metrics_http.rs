//! The metrics over plain HTTP, for Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::listener;
use crate::metrics::Metrics;

/// A scraper needs one; this is for several, and for those who forget to close.
const MAX_CONNECTIONS: usize = 32;

/// How long a client may be silent before its connection is closed; longer than the usual interval of scrapes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics` until it is told to stop.
pub(super) async fn serve(listener: TcpListener, metrics: Arc<Metrics>, stop: CancellationToken) {
    let connections = stop.clone();
    listener::accept(listener, MAX_CONNECTIONS, stop, move |stream, peer, permit| {
        tokio::spawn(serve_connection(stream, peer, permit, metrics.clone(), connections.child_token()));
    })
    .await;
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let metrics = Arc::clone(&metrics);
        // Reading the numbers looks at the disk and at every session: nothing for a thread that serves others.
        async move {
            let answer = tokio::task::spawn_blocking(move || respond(&request, &metrics));
            Ok::<_, Infallible>(answer.await.unwrap_or_else(|_| failed()))
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        // The answer to a scrape is made at once, so there is nothing to wait for.
        () = stop.cancelled() => return,
    };
    if let Err(error) = result {
        debug!(%peer, %error, "metrics connection ended");
    }
}

/// The server is about to end, or has a fault that it has logged.
fn failed() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"the metrics could not be read\n")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn respond(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" if is_read => (StatusCode::OK, OPEN_METRICS, metrics.encode()),
        "/metrics" => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "the metrics can only be read\n".to_owned())
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
