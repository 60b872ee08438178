//! A server, a session at it, and calls of one delegate.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use perper::protocol::{Fabric, NewExecution, Settings};
use perper_fabric::{Config, RunningFabric};

pub(crate) async fn server() -> RunningFabric {
    let config = Config { address: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    perper_fabric::Fabric::start(config).await.expect("a server")
}

pub(crate) async fn connect(address: SocketAddr) -> Fabric {
    let settings = Settings::default()
        .with_endpoint(format!("http://{address}"))
        .with_connect_timeout(Duration::from_secs(20));
    Fabric::connect(settings).await.expect("a session")
}

pub(crate) fn cbor<T: serde::Serialize>(value: T) -> Bytes {
    perper_values::to_vec(&value).expect("encodes").into()
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(value: &Bytes) -> T {
    perper_values::from_slice(value).expect("decodes")
}

pub(crate) fn greet(fabric: &Fabric, name: i64) -> NewExecution {
    NewExecution {
        agent: "Hello".into(),
        delegate: "Greet".into(),
        arguments: vec![cbor(name)],
        ..NewExecution::new(fabric.new_id())
    }
}
