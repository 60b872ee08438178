//! TLS: the files, the handshake, and what went wrong with it in words.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::Error;
use crate::config::Tls;

/// The one protocol that is spoken inside: HTTP/2.
const ALPN_H2: &[u8] = b"h2";

/// The TLS side of a server. Its certificates can be replaced while it runs; connections keep those they began with.
pub(crate) struct TlsContext {
    files: Tls,
    /// Read once per handshake and written on a reload, so a plain lock is enough; it is never held across an await.
    current: RwLock<Arc<ServerConfig>>,
}

impl TlsContext {
    /// Reads the files.
    pub(crate) fn load(files: &Tls) -> Result<Self, Error> {
        Ok(Self { files: files.clone(), current: RwLock::new(Arc::new(server_config(files)?)) })
    }

    /// Reads the files again. If that fails, what was read before stays.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        let config = Arc::new(server_config(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Shakes hands with a client.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsContext").field("files", &self.files).finish_non_exhaustive()
    }
}

fn server_config(files: &Tls) -> Result<ServerConfig, Error> {
    let chain = certificates("--tls-cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        Error::file(
            "--tls-key",
            &files.key,
            format!("{error}; a private key in PEM is needed, without a passphrase"),
        )
    })?;

    // The provider is handed over, not installed: a process may hold other users of rustls with another one.
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("the TLS provider: {error}")))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("--tls-client-ca", path)? {
                roots
                    .add(authority)
                    .map_err(|error| Error::file("--tls-client-ca", path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| Error::file("--tls-client-ca", path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let problem = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!(
                    "the key is not the one of the certificate {}; give both of one pair",
                    files.cert.display()
                )
            }
            other => other.to_string(),
        };
        Error::file("--tls-key", &files.key, problem)
    })?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    Ok(config)
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(
            |error| Error::file(setting, path, format!("{error}; certificates in PEM are needed")),
        )?;
    if certificates.is_empty() {
        return Err(Error::file(setting, path, "it holds no certificate; one or more in PEM are needed"));
    }
    Ok(certificates)
}

/// What a failed handshake means for the people at both ends.
pub(crate) fn explain(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::NoCertificatesPresented) => {
            "the client showed no certificate, and --tls-client-ca asks for one".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(problem)) => {
            format!("the client's certificate does not satisfy --tls-client-ca: {problem:?}")
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!(
                "the client broke off with {alert:?}; does it trust the certificate of --tls-cert, and is that made out for the name it connects to?"
            )
        }
        Some(rustls::Error::NoApplicationProtocol) => {
            "the client does not offer HTTP/2 (ALPN \"h2\"); this port speaks gRPC".to_owned()
        }
        _ => error.to_string(),
    }
}
