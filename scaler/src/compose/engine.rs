//! The Docker Engine's API, as far as it is needed here: a few requests over a socket.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

/// Where the engine is unless somebody says otherwise.
pub(super) const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The version of the API that this was written for. An older engine is spoken to in its own.
const API: (u32, u32) = (1, 44);
/// How long a request may take that does not wait for anything: some storage drivers copy whole images.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Docker Engine.
#[derive(Debug)]
pub(super) struct Engine {
    place: Place,
    /// Of the API, once it has been agreed upon.
    version: Mutex<Option<String>>,
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

    /// Asks for something. A field that has `null` for a body has none.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = tokio::time::timeout(PATIENCE, self.ask_patiently(method, path, body));
        answer.await.unwrap_or_else(|_| Err(Failure::Away(format!("nothing was heard for {PATIENCE:?}"))))
    }

    /// Asks for something that may take its time.
    pub(super) async fn ask_patiently(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let path = format!("{}{path}", self.version().await?);
        self.exchange(method, &path, body).await
    }

    /// Follows what happens to containers: runs until the engine ends it. First `null` has happened, which is whatever
    /// did before.
    pub(super) async fn events(
        &self,
        filters: &Value,
        mut happened: impl FnMut(&Value),
    ) -> Result<(), Failure> {
        // Another engine may be there by now.
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let path = format!("{}/events?filters={}", self.version().await?, encode(&filters.to_string()));
        let (response, _connection) = self.send(Method::GET, &path, &Value::Null).await?;
        let mut response = accepted(response).await?;
        happened(&Value::Null);
        let mut told = Vec::new();
        while let Some(frame) = response.frame().await {
            let Ok(data) = frame.map_err(away)?.into_data() else { continue };
            told.extend_from_slice(&data);
            // One object after the other, of which the last may not be there as a whole yet.
            let mut events = serde_json::Deserializer::from_slice(&told).into_iter::<Value>();
            events.by_ref().map_while(Result::ok).for_each(|event| happened(&event));
            let read = events.byte_offset();
            told.drain(..read);
        }
        Ok(())
    }

    /// The beginning of paths: the newest version that both know.
    async fn version(&self) -> Result<String, Failure> {
        let known = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let about = tokio::time::timeout(PATIENCE, self.exchange(Method::GET, "/version", &Value::Null))
            .await
            .map_err(|_| Failure::Away(format!("nothing was heard for {PATIENCE:?}")))??;
        let number = |field: &str| {
            let (major, minor) = about.get(field)?.as_str()?.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        };
        let newest = number("ApiVersion").ok_or_else(|| away("it does not tell its version"))?;
        let (major, minor) = newest.min(API).max(number("MinAPIVersion").unwrap_or_default());
        let version = format!("/v{major}.{minor}");
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.clone());
        Ok(version)
    }

    async fn exchange(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let (response, _connection) = self.send(method, path, body).await?;
        let answer = accepted(response).await?.collect().await.map_err(away)?.to_bytes();
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
    let answer = response.into_body().collect().await.map_err(away)?.to_bytes();
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
    fn whatever_is_no_letter_is_encoded() {
        assert_eq!(encode(r#"{"a":["ü b"]}"#), "%7B%22a%22%3A%5B%22%C3%BC%20b%22%5D%7D");
    }
}
