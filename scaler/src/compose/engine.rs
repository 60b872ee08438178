//! The Docker Engine's API, as far as it is needed here: a few requests over a socket.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

/// Where the engine is unless somebody says otherwise.
pub(super) const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The version of the API that has all that a service may ask for. An older engine is spoken to in its own.
const API: Version = (1, 48);
/// How long a request may take that does not wait for anything: some storage drivers copy whole images.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How long events are followed in which nothing happens. A connection that was cut on its way says nothing either.
const SILENCE: Duration = Duration::from_secs(300);
/// The largest answer: a listing has some kilobytes for each container. More is not held in memory.
const MAX_ANSWER: usize = 128 << 20;
/// The largest refusal, which is a sentence.
const MAX_REFUSAL: usize = 1 << 20;
/// The largest event, which has the labels of one container.
const MAX_EVENT: usize = 1 << 20;

/// A version of the API.
pub(super) type Version = (u32, u32);

/// A Docker Engine.
#[derive(Debug)]
pub(super) struct Engine {
    place: Place,
    /// Of the API, once it has been agreed upon.
    version: Mutex<Option<Version>>,
}

#[derive(Debug)]
enum Place {
    Unix(PathBuf),
    Tcp(String),
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The engine refused it.
    Refused(StatusCode, String),
    /// The engine did not answer.
    Away(String),
}

impl Failure {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Failure::Refused(status, _) => Some(status.as_u16()),
            Failure::Away(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(status, message) => write!(f, "the Docker Engine says: {message} ({status})"),
            Failure::Away(message) => write!(f, "the Docker Engine does not answer: {message}"),
        }
    }
}

impl std::error::Error for Failure {}

fn away(error: impl fmt::Display) -> Failure {
    Failure::Away(error.to_string())
}

impl Engine {
    /// The one at an address such as `unix:///var/run/docker.sock` or `tcp://127.0.0.1:2375`.
    pub(super) fn new(address: &str) -> Result<Self, String> {
        let place = match address.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Place::Unix(path.into()),
            Some(("tcp" | "http", host)) if host.contains(':') => {
                Place::Tcp(host.trim_end_matches('/').to_owned())
            }
            _ => {
                return Err(format!(
                    "{address:?} is no address of a Docker Engine that can be reached from here; give one like \
                     {DEFAULT} or tcp://127.0.0.1:2375 (without TLS, so over a trusted network)"
                ));
            }
        };
        Ok(Engine { place, version: Mutex::default() })
    }

    /// Asks for something; with `null` for a body, without one.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask_within(PATIENCE, method, path, body).await
    }

    /// Asks for something that takes that long at most.
    pub(super) async fn ask_within(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        within(patience, async {
            let (major, minor) = self.version().await?;
            self.exchange(method, &format!("/v{major}.{minor}{path}"), body).await
        })
        .await
    }

    /// Follows what happens to containers, until nothing has for a while, or the engine ends it. First `null` has
    /// happened, which is whatever did before.
    pub(super) async fn events(
        &self,
        filters: &Value,
        mut happened: impl FnMut(&Value),
    ) -> Result<(), Failure> {
        // Another engine may be there by now.
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (mut response, _connection) = within(PATIENCE, async {
            let (major, minor) = self.version().await?;
            let path = format!("/v{major}.{minor}/events?filters={}", encode(&filters.to_string()));
            let (response, connection) = self.send(Method::GET, &path, &Value::Null).await?;
            Ok((accepted(response).await?, connection))
        })
        .await?;
        happened(&Value::Null);
        let mut told = Vec::new();
        while let Ok(Some(frame)) = tokio::time::timeout(SILENCE, response.frame()).await {
            let Ok(data) = frame.map_err(away)?.into_data() else { continue };
            told.extend_from_slice(&data);
            tell(&mut told, &mut happened)?;
        }
        Ok(())
    }

    /// The newest version of the API that both know.
    pub(super) async fn version(&self) -> Result<Version, Failure> {
        let known = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        let about = within(PATIENCE, self.exchange(Method::GET, "/version", &Value::Null)).await?;
        let number = |field: &str| {
            let (major, minor) = about.get(field)?.as_str()?.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        };
        let newest: Version = number("ApiVersion").ok_or_else(|| away("it does not tell its version"))?;
        let version = newest.min(API).max(number("MinAPIVersion").unwrap_or_default());
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        Ok(version)
    }

    async fn exchange(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let (response, _connection) = self.send(method, path, body).await?;
        let answer = whole(accepted(response).await?, MAX_ANSWER).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(away)
    }

    /// Sends a request over a connection of its own, which ends when the handle is dropped.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Failure> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "docker")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(away)?;
        match &self.place {
            Place::Unix(path) => {
                let connected = UnixStream::connect(path).await;
                over(connected.map_err(|error| at(path.display(), error))?, request).await
            }
            Place::Tcp(host) => {
                let connected = TcpStream::connect(host).await;
                over(connected.map_err(|error| at(host, error))?, request).await
            }
        }
    }
}

async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let answer = tokio::time::timeout(patience, answer).await;
    answer.unwrap_or_else(|_| Err(Failure::Away(format!("nothing was heard for {patience:?}"))))
}

/// All of an answer, which may have so many bytes.
async fn whole<B>(body: B, limit: usize) -> Result<Bytes, Failure>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Limited::new(body, limit).collect().await.map(Collected::to_bytes).map_err(away)
}

/// Tells of events, which come one after the other, and leaves what is not there as a whole yet.
fn tell(told: &mut Vec<u8>, happened: &mut impl FnMut(&Value)) -> Result<(), Failure> {
    let mut events = serde_json::Deserializer::from_slice(told).into_iter::<Value>();
    for event in events.by_ref() {
        match event {
            Ok(event) => happened(&event),
            Err(error) if error.is_eof() => break,
            Err(error) => return Err(away(format!("what it tells is no event: {error}"))),
        }
    }
    let read = events.byte_offset();
    told.drain(..read);
    if told.len() > MAX_EVENT {
        return Err(away(format!("it tells of an event of more than {MAX_EVENT} bytes")));
    }
    Ok(())
}

fn at(place: impl fmt::Display, error: io::Error) -> Failure {
    Failure::Away(format!("{place}: {error}"))
}

async fn over(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), Failure> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        // Who asked hears of it.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(away)?;
    Ok((response, connection))
}

/// The answer, unless it is a refusal.
async fn accepted(response: Response<Incoming>) -> Result<Incoming, Failure> {
    let status = response.status();
    // Not modified: it is as it should be already.
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(response.into_body());
    }
    let answer = whole(response.into_body(), MAX_REFUSAL).await?;
    let message = serde_json::from_slice::<Value>(&answer).ok();
    let message = message.as_ref().and_then(|answer| answer.get("message")?.as_str());
    Err(Failure::Refused(
        status,
        message.map_or_else(|| String::from_utf8_lossy(&answer).into(), str::to_owned),
    ))
}

/// A text as a part of a path or of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_nowhere_are_named() {
        for address in ["unix:///run/docker.sock", "tcp://10.0.0.1:2375", "http://proxy:2375/"] {
            assert!(Engine::new(address).is_ok(), "{address}");
        }
        for address in
            ["", "/run/docker.sock", "unix://docker.sock", "ssh://host", "https://host:2376", "tcp://host"]
        {
            let error = Engine::new(address).expect_err(address);
            assert!(error.contains(&format!("{address:?} is no address")), "{error}");
        }
    }

    #[test]
    fn events_are_told_as_they_come_and_what_is_none_is_noticed() {
        let heard = |parts: &[&[u8]]| {
            let (mut told, mut events) = (Vec::new(), Vec::new());
            for part in parts {
                told.extend_from_slice(part);
                tell(&mut told, &mut |event| events.push(event.to_string()))?;
            }
            Ok::<_, Failure>((events, told.len()))
        };
        let (events, left) = heard(&[b"{\"a\":1}\n{\"b\"", b":", b"2} {\"c\":3}\n{"]).unwrap();
        assert_eq!((events, left), (vec![r#"{"a":1}"#.into(), r#"{"b":2}"#.into(), r#"{"c":3}"#.into()], 1));
        let error = heard(&[b"{\"a\":1}\nnonsense\n", b"{\"b\":2}"]).expect_err("no event").to_string();
        assert!(error.contains("what it tells is no event"), "{error}");
        let endless = vec![b'['; MAX_EVENT + 1];
        let error = heard(&[b"{\"a\":\"", &endless]).expect_err("an event without an end").to_string();
        assert!(error.contains("an event of more than 1048576 bytes"), "{error}");
    }

    #[tokio::test]
    async fn answers_have_a_bound() {
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(whole(body(), 5).await.unwrap(), "12345");
        assert!(whole(body(), 4).await.expect_err("too long").to_string().contains("limit"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for_without_end() {
        // Connections are established, and that is all.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Engine::new(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        let silent = "the Docker Engine does not answer: nothing was heard for 120s";
        assert_eq!(
            engine.ask(Method::GET, "/x", &Value::Null).await.expect_err("no answer").to_string(),
            silent
        );
        assert_eq!(engine.events(&Value::Null, |_| ()).await.expect_err("no answer").to_string(), silent);
    }

    #[test]
    fn whatever_is_no_letter_is_encoded() {
        assert_eq!(encode(r#"{"a":["ü b"]}"#), "%7B%22a%22%3A%5B%22%C3%BC%20b%22%5D%7D");
    }
}
