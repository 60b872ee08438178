//! The limit: what the same machine does with nothing but tonic.
//!
//! A server that answers what it is asked, in one call for each message and in one stream of frames, with one or many
//! messages in a frame. Written by hand against tonic's own interfaces, without a proto file, since it is four lines of
//! messages and no part of the protocol.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::Pin, task};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio_stream::{Stream, StreamExt as _, wrappers::TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, StreamingService, UnaryService},
    transport::Channel,
};
use tonic_prost::ProstCodec;

const UNARY: &str = "/perper.bench.Echo/Unary";
const STREAMED: &str = "/perper.bench.Echo/Streamed";

/// What goes to and fro.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Frame {
    /// The messages.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub messages: Vec<Bytes>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The server's side.
#[derive(Clone, Copy, Debug)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "perper.bench.Echo";
}

impl UnaryService<Frame> for Echo {
    type Response = Frame;
    type Future = std::future::Ready<Result<Response<Frame>, Status>>;

    fn call(&mut self, request: Request<Frame>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl StreamingService<Frame> for Echo {
    type Response = Frame;
    type ResponseStream = Answers;
    type Future = std::future::Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Frame>>) -> Self::Future {
        std::future::ready(Ok(Response::new(Box::pin(request.into_inner()))))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Frame, Frame>::default());
            Ok(match request.uri().path() {
                UNARY => grpc.unary(Echo, request).await,
                STREAMED => grpc.streaming(Echo, request).await,
                _ => Status::unimplemented("there are Unary and Streamed").into_http(),
            })
        })
    }
}

/// Serves on a free port until the process ends; tells the address.
pub async fn serve(ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    ready(listener.local_addr()?);
    let connections = TcpListenerStream::new(listener).map(|connection| {
        connection.inspect(|stream| {
            // As the Fabric's own connections; without it small messages would wait for others.
            let _ = stream.set_nodelay(true);
        })
    });
    tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(Echo)
        .serve_with_incoming(connections)
        .await?;
    Ok(())
}

/// As much as the Fabric's client allows, so that the window is not what is measured.
const WINDOW: u32 = 16 << 20;

/// The client's side.
#[derive(Clone, Debug)]
pub struct EchoClient {
    grpc: tonic::client::Grpc<Channel>,
}

impl EchoClient {
    /// Connects.
    pub async fn connect(endpoint: &str) -> anyhow::Result<Self> {
        let channel = tonic::transport::Endpoint::from_shared(endpoint.to_owned())?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .connect()
            .await?;
        Ok(EchoClient { grpc: tonic::client::Grpc::new(channel) })
    }

    /// One call of one message.
    pub async fn unary(&mut self, message: Bytes) -> anyhow::Result<()> {
        self.grpc.ready().await?;
        let frame = Frame { messages: vec![message] };
        let codec = ProstCodec::<Frame, Frame>::default();
        self.grpc.unary(Request::new(frame), PathAndQuery::from_static(UNARY), codec).await?;
        Ok(())
    }

    /// One stream of frames, there and back.
    pub async fn streamed(
        &mut self,
        frames: impl Stream<Item = Frame> + Send + 'static,
    ) -> anyhow::Result<Streaming<Frame>> {
        self.grpc.ready().await?;
        let codec = ProstCodec::<Frame, Frame>::default();
        let answers =
            self.grpc.streaming(Request::new(frames), PathAndQuery::from_static(STREAMED), codec).await?;
        Ok(answers.into_inner())
    }
}
