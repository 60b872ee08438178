use perper_proto::v1;
use tonic::{Request, Response, Status};
use v1::executions_server::Executions;
use v1::request::Request as Asked;

use super::{Service, answer, done};
use crate::broker::Observation;
use crate::metrics::Operation;

#[tonic::async_trait]
impl Executions for Service {
    type ObserveExecutionsStream = Observation;

    async fn create_execution(
        &self,
        request: Request<v1::CreateExecutionRequest>,
    ) -> Result<Response<v1::CreateExecutionResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        answer!(self.0.unary(Asked::CreateExecution(request), identity).await, CreateExecution)
    }

    async fn call_execution(
        &self,
        request: Request<v1::CreateExecutionRequest>,
    ) -> Result<Response<v1::Completion>, Status> {
        Ok(Response::new(
            self.0.counted(Operation::CreateExecution, self.0.call_execution(request.into_inner())).await?,
        ))
    }

    async fn wait_execution(
        &self,
        request: Request<v1::WaitExecutionRequest>,
    ) -> Result<Response<v1::Completion>, Status> {
        Ok(Response::new(
            self.0.counted(Operation::WaitExecution, self.0.wait_execution(request.into_inner())).await?,
        ))
    }

    async fn get_execution(
        &self,
        request: Request<v1::GetExecutionRequest>,
    ) -> Result<Response<v1::GetExecutionResponse>, Status> {
        answer!(self.0.unary(Asked::GetExecution(request.into_inner()), None).await, GetExecution)
    }

    async fn reserve_execution(
        &self,
        request: Request<v1::ReserveExecutionRequest>,
    ) -> Result<Response<v1::Activation>, Status> {
        Ok(Response::new(
            self.0
                .counted(Operation::ReserveExecution, self.0.reserve_execution(request.into_inner()))
                .await?,
        ))
    }

    async fn complete_execution(
        &self,
        request: Request<v1::CompleteExecutionRequest>,
    ) -> Result<Response<v1::CompleteExecutionResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CompleteExecution(request), identity).await)
    }

    async fn release_execution(
        &self,
        request: Request<v1::ReleaseExecutionRequest>,
    ) -> Result<Response<v1::ReleaseExecutionResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::ReleaseExecution(request), identity).await)
    }

    async fn cancel_execution(
        &self,
        request: Request<v1::CancelExecutionRequest>,
    ) -> Result<Response<v1::CancelExecutionResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CancelExecution(request), identity).await)
    }

    async fn forget_execution(
        &self,
        request: Request<v1::ForgetExecutionRequest>,
    ) -> Result<Response<v1::ForgetExecutionResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::ForgetExecution(request), identity).await)
    }

    async fn observe_executions(
        &self,
        request: Request<v1::ObserveExecutionsRequest>,
    ) -> Result<Response<Observation>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.0.observe(request.filter.unwrap_or_default(), request.summary)))
    }
}
