use std::time::Duration;

use prost::Message;
use tokio::time::{Instant, sleep};
use tonic::{Request, Streaming, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use super::{connect, hub::Hub, machines::retry::Retry, random};
use crate::{Error, ErrorKind, Result};

/// How long a read outside the session's stream is tried again while the Fabric cannot be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls beside the session's stream: for inspection, which must not stand in the way of work.
impl Hub {
    /// A read; tried again while the Fabric cannot be reached, for a while.
    pub(super) async fn unary<Q, R>(&self, path: &'static str, query: Q) -> Result<R>
    where
        Q: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        self.ready().await?;
        let give_up = Instant::now() + PATIENCE;
        let mut retry = Retry::new();
        loop {
            let attempt = async {
                let mut grpc = self.grpc().await?;
                let request = self.authorized(query.clone())?;
                let codec = ProstCodec::<Q, R>::default();
                let response = grpc.unary(request, PathAndQuery::from_static(path), codec).await;
                response.map(tonic::Response::into_inner).map_err(|status| Error::from_status(&status))
            };
            match attempt.await {
                Err(error) if is_away(error.kind()) && Instant::now() < give_up => {
                    sleep(retry.failed(random::jitter(), false)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// A stream of the server's; not tried again.
    pub(super) async fn server_streaming<Q, R>(&self, path: &'static str, query: Q) -> Result<Streaming<R>>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut grpc = self.grpc().await?;
        let request = self.authorized(query)?;
        let codec = ProstCodec::<Q, R>::default();
        let response = grpc.server_streaming(request, PathAndQuery::from_static(path), codec).await;
        response.map(tonic::Response::into_inner).map_err(|status| Error::from_status(&status))
    }

    async fn grpc(&self) -> Result<Grpc<Channel>> {
        let mut grpc = Grpc::new(self.unary_channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await.map_err(|error| connect::unreachable(&error))?;
        Ok(grpc)
    }

    fn authorized<Q>(&self, query: Q) -> Result<Request<Q>> {
        let mut request = Request::new(query);
        connect::authorize(&self.settings, request.metadata_mut())?;
        Ok(request)
    }
}

/// Whether the Fabric is only not there, rather than of another opinion.
pub(super) fn is_away(kind: ErrorKind) -> bool {
    // `Unknown` is what a connection that breaks in the middle of an answer becomes.
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Draining | ErrorKind::Cancelled | ErrorKind::Unknown)
}
