//! What a server does when its storage fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use perper_proto::{Reason, v1};
use perper_store::{
    Direction, Durability, Entries, Error, ErrorKind, KeyRange, MemoryStore, Result, Space, Store, StoreKind,
    WriteBatch,
};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use v1::executions_client::ExecutionsClient;
use v1::sessions_client::SessionsClient;

use super::Fabric;
use crate::Config;

/// A store in memory whose disk breaks on demand.
struct FragileStore {
    inner: MemoryStore,
    how: Fault,
    broken: AtomicBool,
}

#[derive(Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

impl Store for FragileStore {
    fn commit(&self, group: &[WriteBatch]) -> Result<()> {
        match (self.broken.load(Ordering::Relaxed), self.how) {
            (false, _) => self.inner.commit(group),
            (true, Fault::Error) => Err(Error::new(ErrorKind::Io, "the disk is on fire")),
            (true, Fault::Panic) => panic!("the disk is on fire"),
        }
    }

    fn may_wait(&self) -> bool {
        self.inner.may_wait()
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.inner.get(space, key)
    }

    fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        self.inner.range(space, range, direction)
    }

    fn disk_usage(&self) -> Result<u64> {
        self.inner.disk_usage()
    }

    fn close(&self) -> Result<()> {
        self.inner.close()
    }

    fn kind(&self) -> StoreKind {
        self.inner.kind()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }
}

fn create(execution: &str) -> v1::CreateExecutionRequest {
    v1::CreateExecutionRequest {
        execution: execution.to_owned(),
        agent: "agent".to_owned(),
        delegate: "delegate".to_owned(),
        ..Default::default()
    }
}

async fn a_failed_commit_turns_health_to_not_serving(how: Fault) {
    let store = Arc::new(FragileStore { inner: MemoryStore::new(), how, broken: AtomicBool::new(false) });
    let config = Config {
        address: ([127, 0, 0, 1], 0).into(),
        shutdown_grace: Duration::from_secs(2),
        ..Config::default()
    };
    let fabric = Fabric::start_on(config, Some(store.clone())).await.unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", fabric.address())).unwrap();
    let channel = endpoint.timeout(Duration::from_secs(20)).connect().await.unwrap();
    let request = HealthCheckRequest { service: v1::executions_server::SERVICE_NAME.to_owned() };
    let mut health = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status, 1, "SERVING");

    let mut executions = ExecutionsClient::new(channel.clone());
    executions.create_execution(create("first")).await.unwrap();
    store.broken.store(true, Ordering::Relaxed);
    for id in ["second", "third"] {
        let status = executions.create_execution(create(id)).await.unwrap_err();
        let error = v1::Error::from_status(&status);
        assert_eq!(error.known_reason(), Some(Reason::StorageFailed), "{status:?}");
    }
    assert_eq!(health.message().await.unwrap().unwrap().status, 2, "NOT_SERVING");
    assert_eq!(fabric.metrics().store_errors.get(), 1, "the second was refused without a try");

    // Reads are refused too: memory may hold what the store never got. What needs no storage is served still.
    let get = v1::GetExecutionRequest { execution: "second".to_owned(), summary: true };
    let status = executions.get_execution(get).await.unwrap_err();
    assert_eq!(v1::Error::from_status(&status).known_reason(), Some(Reason::StorageFailed), "{status:?}");
    let hello = v1::HelloRequest { protocol_min: 1, protocol_max: 1, ..Default::default() };
    SessionsClient::new(channel).hello(hello).await.unwrap();
    drop((executions, health));
    fabric.shutdown().await.expect_err("the storage cannot be brought to rest");
}

#[tokio::test]
async fn an_error_of_the_store() {
    a_failed_commit_turns_health_to_not_serving(Fault::Error).await;
}

#[tokio::test]
async fn a_panic_of_the_store() {
    a_failed_commit_turns_health_to_not_serving(Fault::Panic).await;
}
