//! Who is let in: TLS, certificates of clients, bearer tokens.

mod support;

use std::fs;

use perper_fabric::metrics::Refusal;
use perper_fabric::{Config, Error, Fabric};
use perper_proto::{Reason, v1};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use support::{Certificates, Log, check, config, connect, connect_tls, start};

/// A request that needs a token where any is asked for.
async fn reflect(channel: Channel, token: Option<&str>) -> Result<(), tonic::Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = Request::new(tokio_stream::once(request));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(token).unwrap());
    }
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(request).await?.into_inner();
    answers.message().await?.expect("an answer");
    Ok(())
}

#[tokio::test]
async fn tls_lets_in_who_trusts_the_certificate() {
    let certificates = Certificates::make();
    let log = Log;
    let fabric = start(Config { tls: Some(certificates.tls.clone()), ..config() }).await;

    let channel = connect_tls(fabric.address(), certificates.client_tls()).await.unwrap();
    assert_eq!(check(channel.clone()).await.unwrap(), 1);

    let strange = Certificates::make();
    connect_tls(fabric.address(), strange.client_tls())
        .await
        .expect_err("a client that does not trust the server");
    // The server hears of it when it reads the client's alert; a further request on the good connection comes after.
    while fabric.metrics().refusals(Refusal::TlsHandshake) == 0 {
        check(channel.clone()).await.unwrap();
    }
    log.expect("the TLS handshake failed: the client broke off");
    assert_eq!(fabric.metrics().connections.get(), 1);
    drop(channel);
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn mutual_tls_lets_in_who_shows_a_certificate() {
    let certificates = Certificates::make();
    let log = Log;
    let fabric = start(Config { tls: Some(certificates.mutual_tls.clone()), ..config() }).await;

    let channel = connect_tls(fabric.address(), certificates.client_mutual_tls()).await.unwrap();
    assert_eq!(check(channel).await.unwrap(), 1);

    // With TLS 1.3 a client learns of the refusal only with its first answer.
    let refused = async |tls| match connect_tls(fabric.address(), tls).await {
        Ok(channel) => check(channel).await.is_err(),
        Err(_) => true,
    };
    assert!(refused(certificates.client_tls()).await, "a client without a certificate");
    log.expect("the client showed no certificate, and --tls-client-ca asks for one");

    let strange = Certificates::make();
    let (certificate, key) = &strange.client;
    let identity = tonic::transport::Identity::from_pem(certificate, key);
    assert!(
        refused(certificates.client_tls().identity(identity)).await,
        "a client with another authority's certificate"
    );
    assert_eq!(fabric.metrics().refusals(Refusal::TlsHandshake), 2);
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn certificates_are_replaced_while_the_server_runs() {
    let (old, new) = (Certificates::make(), Certificates::make());
    let fabric = start(Config { tls: Some(old.tls.clone()), ..config() }).await;
    let before = connect_tls(fabric.address(), old.client_tls()).await.unwrap();

    fs::copy(&new.tls.cert, &old.tls.cert).unwrap();
    let error = fabric.reload().unwrap_err().to_string();
    assert!(error.contains("the key is not the one of the certificate"), "{error}");
    connect_tls(fabric.address(), old.client_tls()).await.expect("the former pair stays in force");

    fs::copy(&new.tls.key, &old.tls.key).unwrap();
    fabric.reload().unwrap();
    connect_tls(fabric.address(), new.client_tls()).await.expect("the new pair is in force");
    connect_tls(fabric.address(), old.client_tls()).await.expect_err("the former pair is gone");
    assert_eq!(check(before).await.unwrap(), 1, "a connection keeps the certificate it began with");
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn tokens_let_in_who_has_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "first-token-of-the-test\nsecond-token-of-the-test\n").unwrap();
    let log = Log;
    let fabric = start(Config { token_file: Some(file.path().to_owned()), ..config() }).await;
    let channel = connect(fabric.address()).await.unwrap();

    assert_eq!(check(channel.clone()).await.unwrap(), 1, "health asks for no token");
    reflect(channel.clone(), Some("Bearer first-token-of-the-test")).await.unwrap();
    reflect(channel.clone(), Some("bearer second-token-of-the-test")).await.unwrap();
    for wrong in [None, Some("Bearer first-token-of-the-tesT"), Some("Basic first-token-of-the-test")] {
        let status = reflect(channel.clone(), wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong:?}");
        assert_eq!(v1::Error::from_status(&status).known_reason(), Some(Reason::Unauthenticated));
    }
    assert_eq!(fabric.metrics().refusals(Refusal::BearerToken), 3);
    log.expect("refused: this server asks for a token");
    assert!(!log.text().contains("token-of-the-tes"), "a token is in the log:\n{}", log.text());

    fs::write(file.path(), "third-token-of-the-test\n").unwrap();
    fabric.reload().unwrap();
    reflect(channel.clone(), Some("Bearer third-token-of-the-test")).await.unwrap();
    reflect(channel, Some("Bearer first-token-of-the-test")).await.unwrap_err();
    fabric.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_start_names_the_file_that_cannot_be_used() {
    let certificates = Certificates::make();
    let missing = certificates.folder.path().join("missing");
    let empty = certificates.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let tls = |change: fn(&mut perper_fabric::config::Tls, &std::path::Path), path: &std::path::Path| {
        let mut tls = certificates.mutual_tls.clone();
        change(&mut tls, path);
        Config { tls: Some(tls), ..config() }
    };
    for (config, part) in [
        (tls(|tls, path| tls.cert = path.to_owned(), &missing), "--tls-cert"),
        (tls(|tls, path| tls.cert = path.to_owned(), &empty), "no certificate"),
        (tls(|tls, path| tls.key = path.to_owned(), &empty), "--tls-key"),
        (tls(|tls, path| tls.client_ca = Some(path.to_owned()), &missing), "--tls-client-ca"),
        (Config { token_file: Some(missing.clone()), ..config() }, "--token-file"),
    ] {
        let error = Fabric::start(config).await.expect_err(part);
        assert!(matches!(error, Error::File { .. }) && error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn plain_text_for_other_machines_takes_a_word() {
    let open = Config { address: ([0, 0, 0, 0], 0).into(), ..config() };
    let error = Fabric::start(open.clone()).await.unwrap_err().to_string();
    assert!(error.contains("--tls-cert") && error.contains("--insecure"), "{error}");
    let log = Log;
    start(Config { insecure: true, ..open }).await.shutdown().await.unwrap();
    log.expect("--insecure: everything, tokens included, travels in plain text");
}
