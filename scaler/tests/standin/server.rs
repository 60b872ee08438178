//! The stand-in over HTTP.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::apply;
use super::front::Front;
use super::store::{self, Faults, Key, Refusal, Store, matches, refuse};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How often nodes do something, and how often a watch without news says how far it is.
const BEAT: Duration = Duration::from_millis(10);
const BOOKMARKS: Duration = Duration::from_millis(100);

pub(super) struct Shared {
    store: Mutex<Store>,
    /// The latest version, for those who wait for the next.
    latest: watch::Sender<u64>,
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

/// An API server.
pub(crate) struct StandIn {
    shared: Arc<Shared>,
    /// The way in for the test itself.
    user: Arc<Front>,
    fronts: Mutex<Vec<Arc<Front>>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl StandIn {
    pub(crate) async fn start(seed: u64) -> Self {
        let shared = Arc::new(Shared { store: Mutex::new(Store::new(seed)), latest: watch::Sender::new(1) });
        let stop = CancellationToken::new();
        let nodes = Arc::clone(&shared);
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                if nodes.store().tick() {
                    nodes.told();
                }
            }
        }));
        let user = Front::open("user", Arc::clone(&shared), &stop).await;
        StandIn { shared, user, fronts: Mutex::default(), stop: stop.clone(), _stop: stop.drop_guard() }
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.user.client()
    }

    /// A way in for somebody of whom it is to be known what he does.
    pub(crate) async fn front(&self, name: &str) -> Arc<Front> {
        let front = Front::open(name, Arc::clone(&self.shared), &self.stop).await;
        self.fronts.lock().unwrap().push(Arc::clone(&front));
        front
    }

    /// As when it is killed and started again: connections break, for everybody but the test, what was under way may have
    /// happened or not, and of its history it remembers nothing.
    pub(crate) fn restart(&self) {
        let fronts = self.fronts.lock().unwrap();
        fronts.iter().for_each(|front| front.cut());
        self.compact();
        fronts.iter().for_each(|front| front.mend());
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.shared.store().faults = faults;
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        self.shared.store().frozen = frozen;
    }

    pub(crate) fn compact(&self) {
        self.shared.store().compact();
    }

    /// Everything of a kind, by name.
    pub(crate) fn objects(&self, resource: &str) -> BTreeMap<String, Value> {
        let store = self.shared.store();
        let objects = store.objects.iter().filter(|(key, _)| key.0 == resource);
        objects.map(|(key, object)| (key.2.clone(), object.clone())).collect()
    }

    /// What was asked for so far, about a kind.
    pub(crate) fn log(&self, resource: &str) -> Vec<store::Request> {
        let store = self.shared.store();
        store.log.iter().filter(|request| request.resource == resource).cloned().collect()
    }

    pub(crate) fn end_pod(&self, name: &str, phase: &str) {
        let key = ("pods".to_owned(), "default".to_owned(), name.to_owned());
        self.shared.store().end_pod(&key, phase);
        self.shared.told();
    }
}

/// What a request is about.
struct Target {
    resource: String,
    namespace: String,
    name: Option<String>,
    subresource: Option<String>,
    api_version: String,
}

/// `/api/v1/namespaces/N/pods/P`, `/apis/GROUP/VERSION/namespaces/N/RESOURCE/NAME/status`.
fn target(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (api_version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ((*version).to_owned(), rest),
        ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
        _ => return None,
    };
    let ["namespaces", namespace, resource, rest @ ..] = rest else { return None };
    Some(Target {
        resource: (*resource).to_owned(),
        namespace: (*namespace).to_owned(),
        name: rest.first().map(|name| (*name).to_owned()),
        subresource: rest.get(1).map(|name| (*name).to_owned()),
        api_version,
    })
}

fn query(request: &Request<Incoming>) -> HashMap<String, String> {
    let decode = |text: &str| {
        let mut decoded = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            decoded.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                byte => byte,
            });
        }
        String::from_utf8(decoded).unwrap()
    };
    let pairs = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

pub(super) async fn serve(request: Request<Incoming>, shared: Arc<Shared>, by: &str) -> Response<Body> {
    let query = query(&request);
    let method = request.method().clone();
    let kind = request
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Some(target) = target(request.uri().path()) else {
        return answer(refuse(404, "NotFound", "no such path"));
    };
    let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
        return watch_response(shared, target, query);
    }
    let (outcome, fails_after) = {
        let mut store = shared.store();
        let faults = store.faults;
        if store.fails(faults.compactions) {
            store.compact();
        }
        if store.fails(faults.before) {
            return answer(refuse(500, "InternalError", "injected, before it happened"));
        }
        let outcome = perform(&mut store, &method, &target, &query, &kind, body);
        let object = outcome.as_ref().ok().cloned();
        let (by, resource, at) = (by.to_owned(), target.resource.clone(), Instant::now());
        store.log.push(store::Request { by, method, resource, at, object });
        (outcome, store.fails(faults.after))
    };
    shared.told();
    if fails_after {
        return answer(refuse(504, "Timeout", "injected, after it happened"));
    }
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
    let name = target.name.clone().or_else(|| body["metadata"]["name"].as_str().map(str::to_owned));
    let key: Key = (target.resource.clone(), target.namespace.clone(), name.clone().unwrap_or_default());
    let subresource = target.subresource.as_deref();
    match *method {
        Method::GET if target.name.is_some() => store.get(&key),
        Method::GET => list(store, target, query),
        Method::POST => store.create(&key, body, manager),
        Method::PUT => store.change(&key, subresource, |before| {
            let version = &body["metadata"]["resourceVersion"];
            if version.is_string() && *version != before["metadata"]["resourceVersion"] {
                return refuse(409, "Conflict", "the object has been modified");
            }
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
        let is_here = key.0 == target.resource && key.1 == target.namespace;
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
        let mut store = self.shared.store();
        let mut lines = String::new();
        if self.position < store.compacted {
            self.ended = true;
            let gone =
                Refusal { code: 410, reason: "Expired", message: "too old resource version".to_owned() };
            return line("ERROR", &gone.status());
        }
        let begin = store.changes.partition_point(|change| change.version <= self.position);
        for change in store.changes.range(begin..) {
            if change.resource != self.target.resource || change.namespace != self.target.namespace {
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
        let faults = store.faults;
        if !lines.is_empty() {
            self.told = self.position;
            if store.fails(faults.watches) {
                self.ended = true;
                // In the middle of a line.
                lines.truncate(lines.len() / 2);
            }
        }
        lines
    }
}

fn line(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string() + "\n"
}

fn watch_response(shared: Arc<Shared>, target: Target, query: HashMap<String, String>) -> Response<Body> {
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
