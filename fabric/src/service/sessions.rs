use std::sync::Arc;

use perper_proto::{Reason, Together, v1};
use tonic::{Request, Response, Status, Streaming};
use v1::sessions_server::Sessions;

use super::Service;
use crate::broker::{Frames, session_id};

#[tonic::async_trait]
impl Sessions for Service {
    type AttachStream = Frames;

    async fn hello(&self, request: Request<v1::HelloRequest>) -> Result<Response<v1::HelloResponse>, Status> {
        Ok(Response::new(self.0.hello(request.get_ref())?))
    }

    async fn attach(&self, request: Request<Streaming<v1::ClientFrame>>) -> Result<Response<Frames>, Status> {
        let together = request.extensions().get::<Together>().cloned().unwrap_or_default();
        let mut frames = request.into_inner();
        let Some(mut first) = frames.message().await? else {
            return Err(Reason::InvalidArgument.error("the stream ended before its first frame").into());
        };
        let Some(attach) = first.attach.take() else {
            return Err(Reason::InvalidArgument
                .error("the first frame of a stream must say `attach`")
                .into());
        };
        let attached = self.0.attach(attach).await?;
        let (broker, connection) = (Arc::clone(&self.0), attached.connection);
        // Reading goes on by itself: whatever the client does not read of ours, we always read what it sends.
        together.spawn(async move {
            let mut frame = Ok(Some(first));
            loop {
                match frame {
                    Ok(Some(frame)) => {
                        if let Err(error) = broker.take_frame(&connection, frame) {
                            return connection.end(Some(error.into()));
                        }
                    }
                    // The client has said all it had to say: it leaves, and the session waits for it to come back.
                    Ok(None) => return connection.end(None),
                    Err(status) => {
                        tracing::debug!(%status, "a session's stream broke");
                        return connection.end(None);
                    }
                }
                frame = frames.message().await;
            }
        });
        Ok(Response::new(attached.frames))
    }

    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        Ok(Response::new(self.0.open_session(request.into_inner()).await?))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        self.0.end_session(session_id(&request.get_ref().session)?);
        Ok(Response::new(v1::CloseSessionResponse {}))
    }
}
