//! `perper-fabric health`: whether the server of the same configuration serves. For probes in places without a shell, or
//! that cannot speak TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::Config;

/// Less than probes wait for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fails unless the server serves, and says what it found.
pub(super) async fn check(config: &Config) -> anyhow::Result<&'static str> {
    let address = address(config)?;
    tokio::time::timeout(PATIENCE, ask(config, address))
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {PATIENCE:?}")))
        .with_context(|| format!("the server at {address}"))
}

/// Where the server is, seen from its own machine.
fn address(config: &Config) -> anyhow::Result<SocketAddr> {
    let mut address = config.address;
    if address.port() == 0 {
        let file = config.address_file.as_ref().context(
            "the port is chosen by the system; give --address, or the --address-file that the server writes",
        )?;
        let text =
            std::fs::read_to_string(file).with_context(|| format!("address-file {}", file.display()))?;
        address = text.trim().parse().with_context(|| format!("address-file {}", file.display()))?;
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

async fn ask(config: &Config, address: SocketAddr) -> anyhow::Result<&'static str> {
    let stream = TcpStream::connect(address).await?;
    let stream: Box<dyn Stream> = match &config.tls {
        None => Box::new(stream),
        Some(tls) => {
            let client = TlsConnector::from(Arc::new(client_config()?));
            let shaken = client.connect(ServerName::from(address.ip()), stream).await;
            if tls.client_ca.is_some() {
                return wants_certificate(shaken).await;
            }
            Box::new(shaken?)
        }
    };
    let mut stream = Some(TokioIo::new(stream));
    let connect = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        async move { stream }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connect).await?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    match answer.map_err(|status| anyhow!("{status}"))?.into_inner().status() {
        ServingStatus::Serving => Ok("serving"),
        other => bail!("it says {}", other.as_str_name()),
    }
}

/// A server that asks for certificates tells nothing to whom has none. That it asks is as much as can be found out.
async fn wants_certificate(shaken: io::Result<impl AsyncRead + Unpin>) -> anyhow::Result<&'static str> {
    let refusal = match shaken {
        // Since TLS 1.3 the client is through before the server has looked at its certificate.
        Ok(mut stream) => match stream.read_u8().await {
            Ok(_) => bail!("it asks for no certificate, although --tls-client-ca is given"),
            Err(error) => error,
        },
        Err(error) => error,
    };
    let cause = refusal.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            Ok("alive; more it tells only to clients with a certificate")
        }
        _ => Err(refusal.into()),
    }
}

/// What bytes go through.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

fn client_config() -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Trusts whoever answers: it is the own machine, nothing secret is said, and the certificate is made out for the names
/// that clients use.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
