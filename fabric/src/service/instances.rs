use perper_proto::v1;
use tonic::{Request, Response, Status};
use v1::instances_server::Instances;

use super::Service;
use crate::metrics::Operation;

#[tonic::async_trait]
impl Instances for Service {
    async fn start_instance(
        &self,
        request: Request<v1::StartInstanceRequest>,
    ) -> Result<Response<v1::StartInstanceResponse>, Status> {
        let mut request = request.into_inner();
        let started = async {
            let caller = self.0.identity(request.identity.take())?.map(|identity| identity.session);
            self.0.start_instance(request, caller).await
        };
        Ok(Response::new(self.0.counted(Operation::StartInstance, started).await?))
    }

    async fn stop_instance(
        &self,
        request: Request<v1::StopInstanceRequest>,
    ) -> Result<Response<v1::StopInstanceResponse>, Status> {
        let mut request = request.into_inner();
        let stopped = async {
            let identity = self.0.identity(request.identity.take())?;
            self.0.stop_instance(request, identity).await
        };
        Ok(Response::new(self.0.counted(Operation::StopInstance, stopped).await?))
    }
}
