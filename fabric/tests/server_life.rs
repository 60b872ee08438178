//! A server's life: start, health, reflection, metrics, an orderly end.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use perper_fabric::{Config, Error, Fabric};
use perper_proto::v1::CreateListRequest;
use perper_proto::v1::states_client::StatesClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use support::{Log, PATIENCE, check, config, connect, place, start};

#[tokio::test]
async fn health_knows_the_server_and_each_service() {
    let fabric = start(config()).await;
    let mut client = HealthClient::new(connect(fabric.address()).await.unwrap());
    let names = ["Sessions", "Executions", "Instances", "Streams", "States", "Inspection", "Administration"];
    for service in names.map(|name| format!("perper.v1.{name}")).into_iter().chain([String::new()]) {
        let response = client.check(HealthCheckRequest { service: service.clone() }).await;
        assert_eq!(response.expect("it is known").into_inner().status, 1, "{service:?}");
    }
    let status = client.check(HealthCheckRequest { service: "other".to_owned() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    drop(client);
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn reflection_lists_the_protocol_in_both_versions() {
    let fabric = start(config()).await;
    let channel = connect(fabric.address()).await.unwrap();

    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut answers = v1::server_reflection_client::ServerReflectionClient::new(channel.clone())
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}");
    };
    let new: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();

    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let mut answers = v1alpha::server_reflection_client::ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer
    else {
        panic!("{answer:?}");
    };
    let old: BTreeSet<_> = list.service.into_iter().map(|service| service.name).collect();

    for name in [
        "perper.v1.Sessions",
        "perper.v1.Inspection",
        "externalscaler.ExternalScaler",
        "grpc.health.v1.Health",
    ] {
        assert!(new.contains(name) && old.contains(name), "{name} is missing: {new:?} {old:?}");
    }
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_end_waits_for_clients_and_tells_those_who_watch() {
    let (_held, address) = place();
    let fabric = start(Config { address, shutdown_grace: PATIENCE, ..config() }).await;
    let channel = connect(address).await.unwrap();
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);

    let start = Instant::now();
    let end = tokio::spawn(fabric.shutdown());
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "NOT_SERVING");
    assert!(watch.message().await.unwrap().is_none(), "the watch ends");
    end.await.unwrap().unwrap();
    assert!(start.elapsed() < PATIENCE / 2, "the end came with the last request, not with the grace");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_end_does_not_wait_longer_than_the_grace() {
    let grace = Duration::from_millis(200);
    let fabric = start(Config { shutdown_grace: grace, ..config() }).await;
    let channel = connect(fabric.address()).await.unwrap();
    // A reflection stream that the client leaves open.
    let (_requests, open) = tokio::sync::mpsc::channel(1);
    let mut answers = v1::server_reflection_client::ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::wrappers::ReceiverStream::new(open))
        .await
        .unwrap()
        .into_inner();
    let start = Instant::now();
    timeout(PATIENCE, fabric.shutdown()).await.expect("the grace ends it").unwrap();
    assert!(start.elapsed() >= grace);
    answers.message().await.expect_err("the stream was cut");
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let (_held, metrics) = place();
    let fabric = start(Config { metrics_address: Some(metrics), ..config() }).await;
    let channel = connect(fabric.address()).await.unwrap();
    check(channel.clone()).await.unwrap();
    assert_eq!(fabric.metrics_address(), Some(metrics));
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(metrics).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {metrics}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };

    let (head, body) = get("/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
    let mut families = BTreeSet::new();
    let mut samples = 0;
    let lines: Vec<_> = body.lines().collect();
    for line in &lines {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some(family) = comment.strip_prefix("TYPE ") {
                families.insert(family.split(' ').next().unwrap());
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line:?} has no number"));
        assert!(families.iter().any(|family| name.starts_with(family)), "{line:?} is of no family");
        samples += 1;
    }
    assert_eq!(lines.last(), Some(&"# EOF"));
    assert!(samples > 40 && lines.contains(&"perper_connections 1"), "{body}");

    assert!(get("/").await.0.starts_with("HTTP/1.1 404"));
    drop(channel);
    fabric.shutdown().await.unwrap();
    assert!(TcpStream::connect(metrics).await.is_err(), "the metrics end with the server");
}

#[tokio::test]
async fn a_second_server_on_the_address_or_the_data_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log;
    let first = start(Config { data: Some(folder.path().join("data")), ..config() }).await;
    log.expect("storage recovered");
    log.expect("listening on loopback only");

    let error = Fabric::start(Config { address: first.address(), ..config() }).await.unwrap_err();
    assert!(matches!(error, Error::Listen { .. }), "{error:?}");
    assert!(error.to_string().contains("another process has it"), "{error}");

    let error =
        Fabric::start(Config { data: Some(folder.path().join("data")), ..config() }).await.unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error:?}");
    first.shutdown().await.unwrap();

    let again = start(Config { data: Some(folder.path().join("data")), ..config() }).await;
    log.expect("boot_epoch=2");
    again.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_servers_run_in_one_process() {
    let (first, second) = (start(config()).await, start(config()).await);
    assert_ne!(first.address(), second.address());
    check(connect(first.address()).await.unwrap()).await.unwrap();
    assert_eq!(
        (first.metrics().connections_accepted.get(), second.metrics().connections_accepted.get()),
        (1, 0)
    );
    first.shutdown().await.unwrap();
    assert_eq!(check(connect(second.address()).await.unwrap()).await.unwrap(), 1);
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_address_file_holds_the_address_as_long_as_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("address");
    let fabric = start(Config { address_file: Some(file.clone()), ..config() }).await;
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", fabric.address()));
    fabric.shutdown().await.unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// A disk that is as good as full, since all of it is held back.
#[tokio::test]
async fn what_is_held_back_of_the_disk_is_as_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().join("data"));
    let fabric = start(Config { data: data.clone(), disk_reserve: u64::MAX, ..config() }).await;
    let create = CreateListRequest { list: "l".into(), ..Default::default() };
    let mut client = StatesClient::new(connect(fabric.address()).await.unwrap());
    let status = client.create_list(create.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("full"), "{status}");
    drop(client);
    fabric.shutdown().await.unwrap();
    let fabric = start(Config { data, disk_reserve: 0, ..config() }).await;
    let mut client = StatesClient::new(connect(fabric.address()).await.unwrap());
    client.create_list(create).await.unwrap();
    drop(client);
    fabric.shutdown().await.unwrap();
}
