use perper_proto::v1;
use tonic::{Request, Response, Status};
use v1::request::Request as Asked;
use v1::streams_server::Streams;

use super::{Service, answer, done};
use crate::metrics::Operation;

#[tonic::async_trait]
impl Streams for Service {
    async fn create_stream(
        &self,
        request: Request<v1::CreateStreamRequest>,
    ) -> Result<Response<v1::CreateStreamResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CreateStream(request), identity).await)
    }

    async fn start_stream(
        &self,
        request: Request<v1::StartStreamRequest>,
    ) -> Result<Response<v1::StartStreamResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::StartStream(request), identity).await)
    }

    async fn write_items(
        &self,
        request: Request<v1::WriteItemsRequest>,
    ) -> Result<Response<v1::WriteItemsResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        answer!(self.0.unary(Asked::WriteItems(request), identity).await, WriteItems)
    }

    async fn complete_stream(
        &self,
        request: Request<v1::CompleteStreamRequest>,
    ) -> Result<Response<v1::CompleteStreamResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CompleteStream(request), identity).await)
    }

    async fn remove_listener(
        &self,
        request: Request<v1::RemoveListenerRequest>,
    ) -> Result<Response<v1::RemoveListenerResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::RemoveListener(request), identity).await)
    }

    async fn get_stream(
        &self,
        request: Request<v1::GetStreamRequest>,
    ) -> Result<Response<v1::GetStreamResponse>, Status> {
        answer!(self.0.unary(Asked::GetStream(request.into_inner()), None).await, GetStream)
    }

    async fn destroy_stream(
        &self,
        request: Request<v1::DestroyStreamRequest>,
    ) -> Result<Response<v1::DestroyStreamResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::DestroyStream(request), identity).await)
    }

    async fn read_items(
        &self,
        request: Request<v1::ReadItemsRequest>,
    ) -> Result<Response<v1::ReadItemsResponse>, Status> {
        Ok(Response::new(
            self.0.counted(Operation::ReadItems, self.0.page_of_items(request.into_inner())).await?,
        ))
    }

    async fn wait_for_listener(
        &self,
        request: Request<v1::WaitForListenerRequest>,
    ) -> Result<Response<v1::WaitForListenerResponse>, Status> {
        self.0.counted(Operation::WaitForListener, self.0.first_listener(request.into_inner())).await?;
        Ok(Response::new(v1::WaitForListenerResponse {}))
    }
}
