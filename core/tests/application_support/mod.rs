//! A server of one's own for each test.

use perper::{Context, embedded::Embedded, protocol::Settings};

pub(crate) struct Server(Embedded);

impl Server {
    pub(crate) async fn start() -> Self {
        Server(Embedded::temporary().await.expect("a server in memory on a free port starts"))
    }

    pub(crate) fn settings(&self) -> Settings {
        self.0.settings()
    }

    pub(crate) async fn client(&self) -> Context {
        self.0.connect().await.expect("the server is there")
    }
}
