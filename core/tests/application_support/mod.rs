//! A server of one's own for each test.

#![expect(unreachable_pub, reason = "shared by several test binaries")]

use perper::{
    Context,
    protocol::{Fabric, Settings},
};
use perper_fabric::{Config, RunningFabric};

pub struct Server(RunningFabric);

impl Server {
    pub async fn start() -> Self {
        let config = Config { address: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        Server(perper_fabric::Fabric::start(config).await.expect("a server in memory on a free port starts"))
    }

    pub fn settings(&self) -> Settings {
        Settings::default().with_endpoint(format!("http://{}", self.0.address()))
    }

    pub async fn client(&self) -> Context {
        Context::new(Fabric::connect(self.settings()).await.expect("the server is there"))
    }
}
