use perper_proto::v1;
use tonic::{Request, Response, Status};
use v1::request::Request as Asked;
use v1::states_server::States;

use super::{Service, answer, done};

#[tonic::async_trait]
impl States for Service {
    async fn create_dictionary(
        &self,
        request: Request<v1::CreateDictionaryRequest>,
    ) -> Result<Response<v1::CreateDictionaryResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CreateDictionary(request), identity).await)
    }

    async fn update_dictionary(
        &self,
        request: Request<v1::UpdateDictionaryRequest>,
    ) -> Result<Response<v1::UpdateDictionaryResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        answer!(self.0.unary(Asked::UpdateDictionary(request), identity).await, UpdateDictionary)
    }

    async fn enumerate_dictionary(
        &self,
        request: Request<v1::EnumerateDictionaryRequest>,
    ) -> Result<Response<v1::EnumerateDictionaryResponse>, Status> {
        answer!(
            self.0.unary(Asked::EnumerateDictionary(request.into_inner()), None).await,
            EnumerateDictionary
        )
    }

    async fn destroy_dictionary(
        &self,
        request: Request<v1::DestroyDictionaryRequest>,
    ) -> Result<Response<v1::DestroyDictionaryResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::DestroyDictionary(request), identity).await)
    }

    async fn create_list(
        &self,
        request: Request<v1::CreateListRequest>,
    ) -> Result<Response<v1::CreateListResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::CreateList(request), identity).await)
    }

    async fn update_list(
        &self,
        request: Request<v1::UpdateListRequest>,
    ) -> Result<Response<v1::UpdateListResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        answer!(self.0.unary(Asked::UpdateList(request), identity).await, UpdateList)
    }

    async fn enumerate_list(
        &self,
        request: Request<v1::EnumerateListRequest>,
    ) -> Result<Response<v1::EnumerateListResponse>, Status> {
        answer!(self.0.unary(Asked::EnumerateList(request.into_inner()), None).await, EnumerateList)
    }

    async fn destroy_list(
        &self,
        request: Request<v1::DestroyListRequest>,
    ) -> Result<Response<v1::DestroyListResponse>, Status> {
        let mut request = request.into_inner();
        let identity = request.identity.take();
        done(self.0.unary(Asked::DestroyList(request), identity).await)
    }
}
