//! The stand-in over HTTP.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::apply;
use super::store::{Key, Refusal, Store, matches, refuse};
use super::target::{Target, query, target};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How often controllers do something, and how often a watch without news says how far it is.
const BEAT: Duration = Duration::from_millis(10);
const BOOKMARKS: Duration = Duration::from_millis(100);

struct Shared {
    store: Mutex<Store>,
    /// The latest version, for those who wait for the next.
    latest: watch::Sender<u64>,
    /// What whoever comes has to know.
    token: String,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    fn told(&self) {
        let version = self.store().version;
        self.latest.send_replace(version);
    }
}

/// An API server, until it is dropped.
pub(crate) struct StandIn {
    shared: Arc<Shared>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let token = format!("{:032x}", rand::random::<u128>());
        let store = Mutex::new(Store::new());
        let shared = Arc::new(Shared { store, latest: watch::Sender::new(1), token });
        let stop = CancellationToken::new();
        let controllers = Arc::clone(&shared);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                if controllers.store().tick() {
                    controllers.told();
                }
            }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accept = accept(listener, Arc::clone(&shared), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        StandIn { shared, address, _stop: stop.drop_guard() }
    }

    /// Leads its administrator here.
    pub(crate) fn kubeconfig(&self) -> Value {
        super::kubeconfig(self.address, &self.shared.token, "default")
    }

    /// Its history is forgotten.
    pub(crate) fn compact(&self) {
        self.shared.store().compact();
    }

    /// How much of a kind there is, in any namespace.
    pub(crate) fn count(&self, resource: &str) -> usize {
        self.shared.store().objects.keys().filter(|key| key.0 == resource).count()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(serve(request, shared).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

async fn serve(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Body> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("authorization") != format!("Bearer {}", shared.token) {
        return answer(refuse(401, "Unauthorized", "nobody of this name"));
    }
    let (kind, method, uri) =
        (header("content-type").to_owned(), request.method().clone(), request.uri().clone());
    let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    respond(&shared, &method, &uri, &kind, body)
}

fn respond(shared: &Arc<Shared>, method: &Method, uri: &Uri, kind: &str, body: Value) -> Response<Body> {
    if uri.path() == "/version" {
        return answer(Ok(
            json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0-standin", "gitCommit": "",
            "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        ));
    }
    let query = query(uri);
    let Some(target) = target(uri.path()).filter(|target| shared.store().serves(target)) else {
        return answer(refuse(404, "NotFound", "the server could not find the requested resource"));
    };
    if query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
        return watch_response(Arc::clone(shared), target, &query);
    }
    let outcome = {
        let mut store = shared.store();
        let dry_run = query.contains_key("dryRun").then(|| store.mark());
        let outcome = perform(&mut store, method, &target, &query, kind, body);
        if let Some(mark) = dry_run {
            store.back_to(mark);
        }
        outcome
    };
    shared.told();
    answer(outcome)
}

fn perform(
    store: &mut Store,
    method: &Method,
    target: &Target,
    query: &HashMap<String, String>,
    kind: &str,
    body: Value,
) -> Result<Value, Refusal> {
    let manager = query.get("fieldManager").map_or("unknown", String::as_str);
    let is_current = |before: &Value| {
        let version = &body["metadata"]["resourceVersion"];
        if version.is_string() && *version != before["metadata"]["resourceVersion"] {
            return refuse(409, "Conflict", "the object has been modified");
        }
        Ok(())
    };
    let name = target.name.clone().or_else(|| body["metadata"]["name"].as_str().map(str::to_owned));
    let key: Key = (target.resource.clone(), target.namespace.clone(), name.clone().unwrap_or_default());
    let subresource = target.subresource.as_deref();
    match *method {
        Method::GET if target.name.is_some() => store.get(&key),
        Method::GET => list(store, target, query),
        Method::POST if subresource == Some("binding") => store.bind(&key, &body["target"]["name"]),
        Method::POST => store.create(&key, body, manager),
        Method::PUT => store.change(&key, subresource, |before| {
            is_current(before)?;
            let mut after = body.clone();
            apply::note_update(before, &mut after, manager);
            Ok(after)
        }),
        Method::PATCH if kind.contains("apply-patch") => {
            let force = query.get("force").is_some_and(|force| force == "true");
            if !store.objects.contains_key(&key) {
                if subresource.is_some() {
                    return store.get(&key);
                }
                let mut object =
                    apply::apply(&json!({"metadata": {}}), &body, manager, force).unwrap_or_default();
                object["metadata"]["name"] = key.2.clone().into();
                return store.create(&key, object, manager);
            }
            store.change(&key, subresource, |before| {
                apply::apply(before, &body, manager, force).or_else(|conflicts| {
                    refuse(409, "Conflict", format!("others manage {}", conflicts.join(", ")))
                })
            })
        }
        Method::PATCH => store.change(&key, subresource, |before| {
            is_current(before)?;
            let mut after = before.clone();
            apply::merge_patch(&mut after, &body);
            apply::note_update(before, &mut after, manager);
            Ok(after)
        }),
        Method::DELETE if target.name.is_some() => store.delete(&key, &body),
        _ => refuse(405, "MethodNotAllowed", "not here"),
    }
}

fn list(store: &Store, target: &Target, query: &HashMap<String, String>) -> Result<Value, Refusal> {
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let (version, after) = match query.get("continue").filter(|token| !token.is_empty()) {
        None => (store.version, None),
        Some(token) => {
            let (version, after) = token.split_once(':').unwrap_or_default();
            (version.parse().unwrap_or(0), Some(after.to_owned()))
        }
    };
    if after.is_some() && version < store.compacted {
        return refuse(410, "Expired", "the continue token is too old");
    }
    let mut found: Vec<&Value> = Vec::new();
    let mut next = None;
    for (key, object) in &store.objects {
        let is_here = key.0 == target.resource && target.covers(&key.1);
        if !is_here || after.as_ref().is_some_and(|after| key.2 <= *after) || !matches(object, &selector) {
            continue;
        }
        if found.len() == limit {
            next = found
                .last()
                .and_then(|last| last["metadata"]["name"].as_str())
                .map(|last| format!("{version}:{last}"));
            break;
        }
        found.push(object);
    }
    Ok(json!({"kind": "List", "apiVersion": target.api_version, "items": found,
              "metadata": {"resourceVersion": version.to_string(), "continue": next.unwrap_or_default()}}))
}

/// A watch that is under way.
struct Watch {
    shared: Arc<Shared>,
    latest: watch::Receiver<u64>,
    target: Target,
    selector: String,
    bookmarks: bool,
    position: u64,
    told: u64,
    ended: bool,
}

impl Watch {
    /// What is new, as lines; none at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.ended {
                return None;
            }
            let lines = self.lines();
            if !lines.is_empty() {
                return Some(lines);
            }
            let changed = tokio::time::timeout(BOOKMARKS, self.latest.changed()).await;
            match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) if self.bookmarks && self.position > self.told => {
                    self.told = self.position;
                    let kind = if self.target.resource == "pods" { "Pod" } else { "Object" };
                    return Some(line(
                        "BOOKMARK",
                        &json!({"kind": kind, "apiVersion": self.target.api_version,
                        "metadata": {"resourceVersion": self.position.to_string()}, "spec": {"agent": "", "template": {}}}),
                    ));
                }
                Err(_) => {}
            }
        }
    }

    fn lines(&mut self) -> String {
        let store = self.shared.store();
        let mut lines = String::new();
        if self.position < store.compacted {
            self.ended = true;
            let gone =
                Refusal { code: 410, reason: "Expired", message: "too old resource version".to_owned() };
            return line("ERROR", &gone.status());
        }
        let begin = store.changes.partition_point(|change| change.version <= self.position);
        for change in store.changes.range(begin..) {
            if change.resource != self.target.resource || !self.target.covers(&change.namespace) {
                continue;
            }
            let selected =
                |object: &Option<Value>| object.clone().filter(|object| matches(object, &self.selector));
            let (before, after) = (selected(&change.before), selected(&change.after));
            let (kind, mut object) = match (before, after) {
                (None, None) => continue,
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                (Some(before), None) => ("DELETED", before),
            };
            object["metadata"]["resourceVersion"] = change.version.to_string().into();
            lines += &line(kind, &object);
        }
        self.position = store.version;
        if !lines.is_empty() {
            self.told = self.position;
        }
        lines
    }
}

fn line(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string() + "\n"
}

fn watch_response(shared: Arc<Shared>, target: Target, query: &HashMap<String, String>) -> Response<Body> {
    let position = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    let watch = Watch {
        latest: shared.latest.subscribe(),
        selector: query.get("labelSelector").cloned().unwrap_or_default(),
        bookmarks: query.get("allowWatchBookmarks").is_some_and(|allow| allow == "true"),
        shared,
        target,
        position,
        told: position,
        ended: false,
    };
    let lines = futures_util::stream::unfold(watch, |mut watch| async move {
        let lines = watch.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(lines))), watch))
    });
    Response::new(BodyExt::boxed_unsync(StreamBody::new(Box::pin(lines))))
}

fn answer(outcome: Result<Value, Refusal>) -> Response<Body> {
    let (code, value) = match outcome {
        Ok(value) => (200, value),
        Err(refusal) => (refusal.code, refusal.status()),
    };
    let mut response = Response::new(BodyExt::boxed_unsync(Full::new(Bytes::from(value.to_string()))));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
