//! Clients that speak something else, too much, or nothing: the server stands, and says what it met.

mod support;

use std::net::SocketAddr;

use perper_fabric::metrics::Refusal;
use perper_fabric::{Config, RunningFabric};
use perper_proto::{Reason, v1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use support::{Certificates, Log, PATIENCE, check, config, connect, connect_tls, start};

/// Says something, and that this is all, and reads until the server closes.
async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed already, having heard enough.
    let _ = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await
    }
    .await;
    let mut answer = Vec::new();
    // A reset is as good an end as any other.
    let _ =
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes the connection");
    answer
}

async fn stands(fabric: &RunningFabric) {
    assert_eq!(check(connect(fabric.address()).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn plain_text_on_the_tls_port() {
    let certificates = Certificates::make();
    let log = Log;
    let fabric = start(Config { tls: Some(certificates.tls.clone()), ..config() }).await;
    let answer = say(fabric.address(), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    let refused = match connect(fabric.address()).await {
        Ok(channel) => check(channel).await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "gRPC in plain text");
    assert_eq!(fabric.metrics().refusals(Refusal::PlainText), 2);
    log.expect("the client speaks plain text and this port TLS; connect with https");
    assert_eq!(
        check(connect_tls(fabric.address(), certificates.client_tls()).await.unwrap()).await.unwrap(),
        1
    );
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn tls_on_the_plain_port() {
    let certificates = Certificates::make();
    let log = Log;
    let fabric = start(config()).await;
    connect_tls(fabric.address(), certificates.client_tls()).await.unwrap_err();
    assert_eq!(fabric.metrics().refusals(Refusal::UnexpectedTls), 1);
    log.expect("the client speaks TLS and this port plain text; give the server --tls-cert");
    stands(&fabric).await;
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn http_1_gets_an_answer_that_a_browser_shows() {
    let log = Log;
    let fabric = start(config()).await;
    let answer =
        String::from_utf8(say(fabric.address(), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("This port speaks gRPC"), "{answer}");
    assert_eq!(fabric.metrics().refusals(Refusal::Http1), 1);
    log.expect("the client speaks HTTP/1 and this port gRPC");
    stands(&fabric).await;
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn random_bytes_do_no_harm() {
    // A xorshift generator: any bytes will do, and the same ones each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect()
    };
    let certificates = Certificates::make();
    let log = Log;
    let plain = start(config()).await;
    let tls = start(Config { tls: Some(certificates.tls.clone()), ..config() }).await;
    for round in 0..20 {
        say(plain.address(), &random(1 + 97 * round)).await;
        say(
            plain.address(),
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), random(9 + 97 * round)].concat(),
        )
        .await;
        say(tls.address(), &random(1 + 97 * round)).await;
        say(tls.address(), &[vec![0x16, 3, 1], random(9 + 97 * round)].concat()).await;
    }
    stands(&plain).await;
    assert_eq!(check(connect_tls(tls.address(), certificates.client_tls()).await.unwrap()).await.unwrap(), 1);
    assert!(
        plain.metrics().refusals(Refusal::NotHttp) > 0 && tls.metrics().refusals(Refusal::TlsHandshake) > 0
    );
    log.expect("the client speaks neither HTTP nor TLS");
    plain.shutdown().await.unwrap();
    tls.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_oversized_message_is_refused_with_its_reason() {
    let log = Log;
    let mut config = config();
    (config.limits.value_bytes, config.limits.message_bytes) = (64 << 10, 128 << 10);
    let fabric = start(config).await;
    let channel = connect(fabric.address()).await.unwrap();
    let request = HealthCheckRequest { service: "x".repeat(200 << 10) };
    let status = HealthClient::new(channel.clone()).check(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let error = v1::Error::from_status(&status);
    assert_eq!(error.known_reason(), Some(Reason::LimitExceeded));
    assert_eq!(error.metadata["allowed"], (128 << 10).to_string());
    log.expect("a message is larger than --limit-message-bytes");
    assert_eq!(check(channel).await.unwrap(), 1, "the connection goes on");
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn connections_past_the_limit_wait_until_one_ends() {
    let log = Log;
    let fabric = start(Config { max_connections: 1, ..config() }).await;
    let first = connect(fabric.address()).await.unwrap();
    assert_eq!(check(first.clone()).await.unwrap(), 1);
    let address = fabric.address();
    let second =
        tokio::spawn(async move { check(connect(address).await?).await.map_err(anyhow::Error::from) });
    while !log.text().contains("as many connections as allowed") {
        assert_eq!(check(first.clone()).await.unwrap(), 1);
    }
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().unwrap().unwrap(), 1);
    fabric.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let fabric = start(config()).await;
    let mut silent = TcpStream::connect(fabric.address()).await.unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty());
    assert_eq!(fabric.metrics().refusals(Refusal::Silent), 1);
    fabric.shutdown().await.unwrap();
}
