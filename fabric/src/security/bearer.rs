//! Bearer tokens as a layer in front of every service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderMap};
use http::{Request, Response};
use perper_proto::Reason;
use tokio_util::either::Either;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};
use tracing::warn;

use super::Tokens;
use crate::metrics::{Metrics, Refusal};
use crate::server::LogGate;

/// Health is what load balancers and probes ask for, which have no token.
const EXEMPT: &str = "/grpc.health.v1.Health/";

/// Lets through only requests with `authorization: Bearer <token>`, except for health.
#[derive(Clone, Debug)]
pub(crate) struct BearerLayer {
    check: Option<Arc<Check>>,
}

#[derive(Debug)]
struct Check {
    tokens: Arc<Tokens>,
    metrics: Arc<Metrics>,
    gate: LogGate,
}

impl BearerLayer {
    /// A layer that asks for one of the tokens, or for nothing without any.
    pub(crate) fn new(tokens: Option<Arc<Tokens>>, metrics: Arc<Metrics>) -> Self {
        Self { check: tokens.map(|tokens| Arc::new(Check { tokens, metrics, gate: LogGate::default() })) }
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, inner: S) -> Bearer<S> {
        Bearer { check: self.check.clone(), inner }
    }
}

/// A service behind a [`BearerLayer`].
#[derive(Clone, Debug)]
pub(crate) struct Bearer<S> {
    check: Option<Arc<Check>>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Bearer<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, std::future::Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.check.as_deref().and_then(|check| check.refusal(&request)) {
            None => Either::Left(self.inner.call(request)),
            Some(response) => Either::Right(std::future::ready(Ok(response))),
        }
    }
}

impl Check {
    fn refusal<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if request.uri().path().starts_with(EXEMPT) {
            return None;
        }
        let problem = match token(request.headers()) {
            Some(token) if self.tokens.accepts(token) => return None,
            Some(_) => "the bearer token is not one that this server accepts",
            None => "this server asks for a token in the metadata `authorization: Bearer <token>`",
        };
        self.metrics.refused(Refusal::BearerToken);
        if let Some(unlogged) = self.gate.open() {
            let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
            warn!(
                peer = peer.map(tracing::field::display),
                method = request.uri().path(),
                unlogged,
                "refused: {problem}"
            );
        }
        Some(Reason::Unauthenticated.error(problem).to_status().into_http())
    }
}

/// The token of a request. The scheme's name is not sensitive to case (RFC 9110, section 11.1).
fn token(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_first_chunk::<7>()?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearerabc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token(&headers), expected.map(str::as_bytes), "{value:?}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }
}
