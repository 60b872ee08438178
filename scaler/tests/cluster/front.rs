//! The ways of Scalers to the API server. Each has an address of its own: so it is known who did what, and each can be cut
//! off, or fail.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::{Stream, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::log::{self, Ways};
use crate::standin::{kubeconfig, query, target};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A way in, until it is dropped.
pub(crate) struct Front {
    pub(crate) name: String,
    namespace: String,
    address: SocketAddr,
    /// Without it nobody of this machine gets through to what may be somebody's cluster.
    token: String,
    /// Ends the connections; none while it is cut off.
    connections: Arc<Mutex<Option<CancellationToken>>>,
    _stop: DropGuard,
}

/// Where a front leads.
struct Way {
    name: String,
    namespace: String,
    token: String,
    upstream: Client,
    ways: Arc<Ways>,
}

impl Front {
    pub(super) async fn open(name: &str, namespace: &str, upstream: Client, ways: Arc<Ways>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let token = format!("{:032x}", rand::random::<u128>());
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        let connections = Arc::new(Mutex::new(Some(CancellationToken::new())));
        let way =
            Way { name: name.clone(), namespace: namespace.clone(), token: token.clone(), upstream, ways };
        let stop = CancellationToken::new();
        let accept = accept(listener, Arc::new(way), Arc::clone(&connections), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        Front { name, namespace, address, token, connections, _stop: stop.drop_guard() }
    }

    /// A file that leads a process here.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = kubeconfig(self.address, &self.token, &self.namespace).to_string();
        let mut options = std::fs::File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }

    /// Nobody gets through here any more.
    pub(crate) fn cut(&self) {
        if let Some(connections) = self.connections.lock().unwrap().take() {
            connections.cancel();
        }
    }

    pub(crate) fn mend(&self) {
        self.connections.lock().unwrap().get_or_insert_default();
    }
}

async fn accept(
    listener: TcpListener,
    way: Arc<Way>,
    connections: Arc<Mutex<Option<CancellationToken>>>,
    stop: CancellationToken,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let Some(connections) = connections.lock().unwrap().clone() else { continue };
        let way = Arc::clone(&way);
        let service = service_fn(move |request| {
            // What got through is carried out and noted, also when whoever asked for it is gone meanwhile.
            let carried = tokio::spawn(Arc::clone(&way).carry(request));
            async move { Ok::<_, Infallible>(carried.await.expect("it answers")) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = stop.clone().run_until_cancelled_owned(connection);
        tokio::spawn(connections.run_until_cancelled_owned(connection));
    }
}

impl Way {
    async fn carry(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let at = Instant::now();
        let (head, body) = request.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("authorization") != format!("Bearer {}", self.token) {
            return refusal(401, "Unauthorized", "nobody of this name");
        }
        let Some(target) = target(head.uri.path()).filter(|target| target.namespace == self.namespace) else {
            let text = format!("{} is not in the namespace {}", head.uri.path(), self.namespace);
            return refusal(403, "Forbidden", &text);
        };
        let query = query(&head.uri);
        if self.ways.fails(|faults| faults.compactions) {
            self.ways.compact();
        }
        let watches = query.get("watch").is_some_and(|watch| watch == "true" || watch == "1");
        if !watches && self.ways.fails(|faults| faults.before) {
            return refusal(500, "InternalError", "injected, before it happened");
        }
        let mut forward = Request::builder().method(head.method.clone()).uri(head.uri.to_string());
        for name in ["accept", "content-type"] {
            if let Some(value) = head.headers.get(name) {
                forward = forward.header(name, value);
            }
        }
        let Ok(body) = body.collect().await else { return refusal(400, "BadRequest", "it broke off") };
        let forward = forward.body(kube::client::Body::from(body.to_bytes())).unwrap();
        let response = match self.upstream.send(forward).await {
            Ok(response) => response,
            Err(error) => return refusal(503, "ServiceUnavailable", &error.to_string()),
        };
        let status = response.status();
        if watches && status.is_success() {
            let news = news(response.into_body(), Arc::clone(&self.ways));
            return whole(status, BodyExt::boxed_unsync(StreamBody::new(Box::pin(news))));
        }
        let bytes = match response.into_body().collect().await {
            Ok(bytes) => bytes.to_bytes(),
            Err(error) => return refusal(503, "ServiceUnavailable", &error.to_string()),
        };
        let written = head.method != http::Method::GET && status.is_success();
        let object = written.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        let (by, method, resource) = (self.name.clone(), head.method, target.resource);
        self.ways.log().push(log::Request { by, method, resource, at, object });
        if self.ways.fails(|faults| faults.after) {
            return refusal(504, "Timeout", "injected, after it happened");
        }
        whole(status, BodyExt::boxed_unsync(Full::new(bytes)))
    }
}

/// What a watch tells, until it breaks.
fn news(body: kube::client::Body, ways: Arc<Ways>) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    let forgotten = ways.forgotten.subscribe();
    let start = (body.into_data_stream(), forgotten, false);
    futures_util::stream::unfold(start, move |(mut data, mut forgotten, ended)| {
        let ways = Arc::clone(&ways);
        async move {
            if ended {
                return None;
            }
            let (bytes, ended) = tokio::select! {
                _ = forgotten.changed() => {
                    let status = status(410, "Expired", "too old resource version");
                    (Bytes::from(json!({"type": "ERROR", "object": status}).to_string() + "\n"), true)
                }
                next = data.next() => {
                    let bytes = next?.ok()?;
                    // In the middle of a line.
                    if ways.fails(|faults| faults.watches) { (bytes.slice(..bytes.len() / 2), true) } else { (bytes, false) }
                }
            };
            Some((Ok(Frame::data(bytes)), (data, forgotten, ended)))
        }
    })
}

fn status(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
           "message": message, "metadata": {}})
}

fn refusal(code: u16, reason: &str, message: &str) -> Response<Body> {
    let text = status(code, reason, message).to_string();
    whole(StatusCode::from_u16(code).unwrap(), BodyExt::boxed_unsync(Full::new(Bytes::from(text))))
}

fn whole(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
