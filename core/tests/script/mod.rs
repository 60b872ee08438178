//! A Fabric whose part the test plays itself, frame by frame.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use perper::protocol::{Fabric, Settings};
use perper_proto::v1::{
    self, ClientFrame, ServerFrame,
    request::Request,
    sessions_server::{Sessions, SessionsServer},
};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::timeout,
};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{TcpListenerStream, UnboundedReceiverStream},
};
use tonic::{Response, Status, Streaming};

/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    connections: UnboundedReceiver<Connection>,
}

/// One stream of a client.
pub(crate) struct Connection {
    pub(crate) attach: v1::Attach,
    frames: Streaming<ClientFrame>,
    out: UnboundedSender<Result<ServerFrame, Status>>,
    /// Of a frame that was taken in parts.
    requests: std::collections::VecDeque<v1::Request>,
    pub(crate) credits: Vec<v1::Credit>,
    pub(crate) received: Vec<u64>,
    pub(crate) acknowledged: u64,
    pub(crate) closed: bool,
}

struct Service(UnboundedSender<Connection>);

type Frames = Pin<Box<dyn Stream<Item = Result<ServerFrame, Status>> + Send>>;

#[tonic::async_trait]
impl Sessions for Service {
    type AttachStream = Frames;

    async fn hello(
        &self,
        _: tonic::Request<v1::HelloRequest>,
    ) -> Result<Response<v1::HelloResponse>, Status> {
        Ok(Response::new(v1::HelloResponse::default()))
    }

    async fn attach(
        &self,
        request: tonic::Request<Streaming<ClientFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut frames = request.into_inner();
        let first = frames.message().await?.unwrap_or_default();
        let attach = first.attach.ok_or_else(|| Status::invalid_argument("no attach"))?;
        let (out, receiver) = mpsc::unbounded_channel();
        let connection = Connection {
            attach,
            frames,
            out,
            requests: Default::default(),
            credits: Vec::new(),
            received: Vec::new(),
            acknowledged: 0,
            closed: false,
        };
        self.0.send(connection).map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver))))
    }

    async fn open_session(
        &self,
        _: tonic::Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn close_session(
        &self,
        _: tonic::Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }
}

async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

impl Script {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Script::serve(listener)
    }

    pub(crate) fn serve(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        let (sender, connections) = mpsc::unbounded_channel();
        let server = tonic::transport::Server::builder().add_service(SessionsServer::new(Service(sender)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Script { address, connections }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::default().with_endpoint(format!("http://{}", self.address))
    }

    /// The next stream that a client opens.
    pub(crate) async fn connection(&mut self) -> Connection {
        patiently("a connection", self.connections.recv()).await.expect("the server runs")
    }

    /// A client, and its stream, attached.
    pub(crate) async fn client(&mut self) -> (Fabric, Connection) {
        let fabric = Fabric::start(self.settings()).expect("settings");
        let connection = self.connection().await;
        connection.attach(v1::Limits::default());
        patiently("the session", fabric.ready()).await.expect("a session");
        (fabric, connection)
    }
}

impl Connection {
    pub(crate) fn send(&self, frame: ServerFrame) {
        // The client may have gone on purpose.
        drop(self.out.send(Ok(frame)));
    }

    pub(crate) fn attach(&self, limits: v1::Limits) {
        self.attach_for(limits, 20_000);
    }

    pub(crate) fn attach_for(&self, limits: v1::Limits, lease_ms: u64) {
        let hello = v1::HelloResponse {
            server_version: "script".into(),
            cluster_id: "c".into(),
            protocol: 1,
            features: Vec::new(),
            limits: Some(limits),
        };
        self.send(ServerFrame {
            attached: Some(v1::Attached {
                hello: Some(hello),
                lease_ms,
                resumed: self.attach.resume,
                reset_grace_ms: 0,
            }),
            ..ServerFrame::default()
        });
    }

    pub(crate) fn succeed(&self, sequence: u64) {
        self.send(ServerFrame { succeeded: vec![sequence], ..ServerFrame::default() });
    }

    pub(crate) fn respond(&self, sequence: u64, response: v1::response::Response) {
        let response = v1::Response { sequence, response: Some(response) };
        self.send(ServerFrame { responses: vec![response], ..ServerFrame::default() });
    }

    pub(crate) fn complete(&self, sequence: u64, end: v1::End) {
        let completion = v1::Completion { sequence, end: Some(end) };
        self.send(ServerFrame { completions: vec![completion], ..ServerFrame::default() });
    }

    /// Ends the stream with an error.
    pub(crate) fn fail(self, status: Status) {
        drop(self.out.send(Err(status)));
    }

    /// The next request, from this frame or a later one.
    pub(crate) async fn request(&mut self) -> (u64, Request) {
        while self.requests.is_empty() {
            self.frame().await;
        }
        let request = self.requests.pop_front().expect("there is one");
        (request.sequence, request.request.expect("a request of a known kind"))
    }

    /// Takes one frame in. Gives the number of requests in it.
    pub(crate) async fn frame(&mut self) -> usize {
        let frame = patiently("a frame", self.frames.next()).await;
        let frame = frame.expect("the stream goes on").expect("a frame");
        assert_eq!(frame.attach, None, "attach is in the first frame only");
        let count = frame.requests.len();
        self.requests.extend(frame.requests);
        self.credits.extend(frame.credits);
        self.received.extend(frame.received);
        self.acknowledged = self.acknowledged.max(frame.acknowledged);
        self.closed |= frame.close;
        count
    }

    /// Requests that have come and were not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.len()
    }
}
