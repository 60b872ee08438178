//! A Fabric in this process: for tests of applications, and for programs that need no server beside them.
//!
//! ```
//! use perper::{Agent, embedded::Embedded};
//!
//! async fn greet(name: String) -> String {
//!     format!("Hello, {name}!")
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> perper::Result<()> {
//! let fabric = Embedded::temporary().await?;
//! let hello = Agent::builder("Hello").delegate("Greet", greet).start_with(fabric.settings()).await?;
//!
//! let greeting: String = hello.context().call("Greet", "World").await?;
//! assert_eq!(greeting, "Hello, World!");
//!
//! hello.shutdown().await?;
//! fabric.shutdown().await
//! # }
//! ```

use std::{net::Ipv4Addr, path::PathBuf};

use perper_fabric::{Config, RunningFabric};

use crate::{Context, Error, ErrorKind, Result, protocol::Settings};

/// A Fabric in this process, on loopback and a free port. See the [module](self).
///
/// To be ended by [`shutdown`](Embedded::shutdown). When it is dropped, it ends as in a crash: nothing acknowledged is
/// lost.
pub struct Embedded {
    fabric: RunningFabric,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("address", &self.fabric.address()).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts one that keeps everything in memory.
    pub async fn temporary() -> Result<Self> {
        Embedded::start(Config::default()).await
    }

    /// Starts one that keeps everything in a folder, and finds it there again.
    pub async fn durable(folder: impl Into<PathBuf>) -> Result<Self> {
        Embedded::start(Config { data: Some(folder.into()), ..Config::default() }).await
    }

    /// Starts one with a configuration of one's own. The usual port means a free one here.
    pub async fn start(mut config: Config) -> Result<Self> {
        if config.address == Config::default().address {
            config.address = (Ipv4Addr::LOCALHOST, 0).into();
        }
        let fabric = perper_fabric::Fabric::start(config).await.map_err(failed)?;
        Ok(Embedded { fabric })
    }

    /// Where it is: `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.fabric.address())
    }

    /// The settings to connect to it, with everything else as by default and nothing from the environment.
    pub fn settings(&self) -> Settings {
        Settings::default().with_endpoint(self.endpoint())
    }

    /// Connects to it, for a program or test that is no agent.
    pub async fn connect(&self) -> Result<Context> {
        Ok(Context::new(crate::protocol::Fabric::connect(self.settings()).await?))
    }

    /// The server itself: its metrics, for example.
    pub fn server(&self) -> &RunningFabric {
        &self.fabric
    }

    /// Ends it: clients are told, what is in memory is brought to disk where there is a folder.
    pub async fn shutdown(self) -> Result<()> {
        self.fabric.shutdown().await.map_err(failed)
    }
}

fn failed(error: perper_fabric::Error) -> Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Error::new(ErrorKind::Unavailable, format!("the Fabric in this process: {text}"))
}
