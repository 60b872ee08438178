//! What the tests of the server share: servers on free ports, certificates made on the spot, captured log lines.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[cfg(unix)]
pub(crate) mod binary;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use perper_fabric::config::Tls;
use perper_fabric::{Config, Fabric, RunningFabric};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Longer than anything here takes, so that a fault ends a test instead of hanging it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration on a free port, in memory, that does not linger.
pub(crate) fn config() -> Config {
    Log::install();
    Config {
        address: ([127, 0, 0, 1], 0).into(),
        shutdown_grace: Duration::from_secs(2),
        ..Config::default()
    }
}

pub(crate) async fn start(config: Config) -> RunningFabric {
    Fabric::start(config).await.expect("the server starts")
}

/// An address that no other test gets while the socket is held, so that nobody is there when its server is gone. A
/// server can listen there all the same, since this socket does not.
pub(crate) fn place() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An authority, and certificates of a server and a client that it signed.
pub(crate) struct Certificates {
    pub(crate) folder: TempDir,
    pub(crate) tls: Tls,
    pub(crate) mutual_tls: Tls,
    pub(crate) authority: String,
    pub(crate) client: (String, String),
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |usage| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (server_cert, server_key) = signed(ExtendedKeyUsagePurpose::ServerAuth);
        let client = signed(ExtendedKeyUsagePurpose::ClientAuth);
        let write = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let tls = Tls {
            cert: write("cert.pem", &server_cert),
            key: write("key.pem", &server_key),
            client_ca: None,
        };
        let mutual_tls = Tls { client_ca: Some(write("ca.pem", &authority.pem())), ..tls.clone() };
        Self { tls, mutual_tls, authority: authority.pem(), client, folder }
    }

    /// How a client that trusts the authority connects.
    pub(crate) fn client_tls(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority)).domain_name("localhost")
    }

    /// The same with the client's certificate.
    pub(crate) fn client_mutual_tls(&self) -> ClientTlsConfig {
        let (certificate, key) = &self.client;
        self.client_tls().identity(Identity::from_pem(certificate, key))
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect().await
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    tls: ClientTlsConfig,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.timeout(PATIENCE).tls_config(tls).unwrap().connect().await
}

/// What health says, as its number in the protocol: 1 is `SERVING`.
pub(crate) async fn check(channel: Channel) -> Result<i32, tonic::Status> {
    let response = HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await?;
    Ok(response.into_inner().status)
}

thread_local! {
    /// The lines of this thread: a test has one, its runtime included, so tests do not see each other's.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Log lines of the current thread.
pub(crate) struct Log;

impl Log {
    /// One subscriber for all tests, there before the first line: one for each would miss lines whose call sites were
    /// first reached by a test without any.
    fn install() {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            tracing_subscriber::fmt()
                .with_env_filter("info,h2=off,hyper=off")
                .with_ansi(false)
                .with_writer(|| Writer)
                .init();
        });
    }

    pub(crate) fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8_lossy(lines).into_owned())
    }

    #[track_caller]
    pub(crate) fn expect(&self, part: &str) {
        let text = self.text();
        assert!(text.contains(part), "{part:?} is not in the log:\n{text}");
    }
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
