//! Connections that are away for a while, and servers that are replaced, under load: nobody sees anything of it.

use std::{net::SocketAddr, time::Duration};

use load::Load;
use perper::protocol::{Fabric, Settings};
use perper_fabric::Config;
use perper_proxy::Proxy;
use process::Process;

mod load;
mod process;

/// How long the connection is away: what the Fabric promises to bear, with room to its grace of 5 s.
const OUTAGE: Duration = Duration::from_secs(3);

async fn connect(address: SocketAddr) -> Fabric {
    let settings = Settings::default().with_endpoint(format!("http://{address}"));
    Fabric::connect(settings.with_connect_timeout(Duration::from_secs(20))).await.expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_away_for_3_s_does_not_show() {
    let config = Config { address: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let server = perper_fabric::Fabric::start(config).await.expect("a server");
    let proxy = Proxy::start(server.address()).await;
    let (caller, worker) = (connect(proxy.address()).await, connect(proxy.address()).await);
    let load = Load::start(&caller, &worker).await;
    proxy.go_down();
    // Not to win a race: this is the fault.
    tokio::time::sleep(OUTAGE).await;
    proxy.come_up();
    load.goes_on().await;
    load.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_does_not_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = |address| Config { address, data: Some(folder.path().to_owned()), ..Config::default() };
    let start = |address| perper_fabric::Fabric::start(config(address));
    let mut server = start(([127, 0, 0, 1], 0).into()).await.expect("a server");
    let address = server.address();
    let (caller, worker) = (connect(address).await, connect(address).await);
    let load = Load::start(&caller, &worker).await;
    for _ in 0..2 {
        server.shutdown().await.expect("it stops in order");
        server = start(address).await.expect("the next server");
        load.goes_on().await;
    }
    load.check().await;
    server.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_does_not_show() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut server, address) = Process::fabric(Some(folder.path()), None).await;
    let (caller, worker) = (connect(address).await, connect(address).await);
    let load = Load::start(&caller, &worker).await;
    for _ in 0..2 {
        server.kill();
        server = Process::fabric(Some(folder.path()), Some(address)).await.0;
        load.goes_on().await;
    }
    load.check().await;
}

#[tokio::test]
#[ignore = "the part of a server, for the tests that kill one"]
async fn fabric_process() {
    process::run_fabric().await;
}
