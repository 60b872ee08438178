use std::{error::Error as _, time::Duration};

use tonic::{
    metadata::{MetadataMap, MetadataValue},
    transport::{self, Endpoint},
};

use super::{machines::lease::Lease, settings::Settings};
use crate::{Error, ErrorKind, Result};

/// How long a TCP and TLS handshake may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How much the server may send before we have read it: plenty, since credit bounds what it sends, and reading never
/// waits for anyone.
const WINDOW: u32 = 16 << 20;

/// The longest HTTP/2 frame that the server may send: each costs it a system call, and the 16 KiB of the standard are
/// few for a batch of items.
const FRAME: u32 = 256 << 10;

/// Where and how to connect.
pub(super) fn endpoint(settings: &Settings) -> Result<Endpoint> {
    let invalid = |error: transport::Error| {
        let message = format!("the endpoint {:?} cannot be used: {}", settings.endpoint, chain(&error));
        Error::new(ErrorKind::InvalidSettings, message)
    };
    let endpoint = Endpoint::from_shared(settings.endpoint.clone())
        .map_err(invalid)?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        // A peer that is gone without a word is found out by these.
        .http2_keep_alive_interval(Lease::PROBE)
        .keep_alive_timeout(Lease::PROBE)
        .keep_alive_while_idle(true);
    tls(settings, endpoint, invalid)
}

#[cfg(feature = "tls")]
fn tls(
    settings: &Settings,
    endpoint: Endpoint,
    invalid: impl Fn(transport::Error) -> Error,
) -> Result<Endpoint> {
    use tonic::transport::{Certificate, ClientTlsConfig, Identity};

    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let read = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| {
            let message = format!("{} cannot be read: {error}", path.display());
            Error::new(ErrorKind::InvalidSettings, message)
        })
    };
    let mut config = ClientTlsConfig::new();
    config = match &settings.ca_file {
        Some(path) => config.ca_certificate(Certificate::from_pem(read(path)?)),
        None => config.with_native_roots(),
    };
    if let Some((certificate, key)) = &settings.identity_files {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    endpoint.tls_config(config).map_err(invalid)
}

#[cfg(not(feature = "tls"))]
fn tls(_: &Settings, endpoint: Endpoint, _: impl Fn(transport::Error) -> Error) -> Result<Endpoint> {
    // `Settings::check` has refused https.
    Ok(endpoint)
}

/// Adds the bearer token.
pub(super) fn authorize(settings: &Settings, metadata: &mut MetadataMap) -> Result<()> {
    if let Some(token) = &settings.token {
        let mut value: MetadataValue<_> = format!("Bearer {token}").parse().map_err(|_| {
            Error::new(ErrorKind::InvalidSettings, "the token has characters that a header cannot have")
        })?;
        value.set_sensitive(true);
        metadata.insert("authorization", value);
    }
    Ok(())
}

/// What a failure to connect means: try again.
pub(super) fn unreachable(error: &transport::Error) -> Error {
    Error::new(ErrorKind::Unavailable, chain(error))
}

/// Whether nobody listens at the address.
pub(super) fn is_refused(error: &transport::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        source = cause.source();
    }
    false
}

/// An error with its causes, which tonic's own text leaves out.
fn chain(error: &transport::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
