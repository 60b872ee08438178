use std::{sync::Arc, time::Duration};

use perper::protocol::{Fabric, Settings};

use crate::{
    NativeError,
    port::{Port, ServeSettings},
    runtime,
};

/// How to reach a Fabric. What is `None` comes from the environment, then from the defaults.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ConnectSettings {
    /// `http://host:port`, or `https://host:port` for TLS.
    pub endpoint: Option<String>,
    /// A bearer token to send with every request.
    pub token: Option<String>,
    /// A file of PEM certificates to trust in place of the system's.
    pub ca_file: Option<String>,
    /// The client's certificate, a PEM file, for a Fabric that asks for mutual TLS; together with `key_file`.
    pub certificate_file: Option<String>,
    /// The key of the certificate, a PEM file.
    pub key_file: Option<String>,
    /// Gives up connecting after so many milliseconds; 0 waits for a Fabric to come.
    pub connect_timeout_ms: u64,
    /// Who the client is, for logs and the dashboard.
    pub library: String,
    /// The language of the client.
    pub language: String,
    /// The version of the client.
    pub version: String,
}

/// What the Fabric told about itself.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ServerInfo {
    /// Version of the server.
    pub version: String,
    /// Another id means another Fabric, with other data.
    pub cluster_id: String,
    /// The optional features that it offers.
    pub features: Vec<String>,
    /// The largest value, in bytes; 0 if the server did not say.
    pub value_bytes: u64,
}

/// A connection to a Fabric. It makes ports, and outlives each of them.
#[derive(Debug, uniffi::Object)]
pub struct Connection {
    fabric: Fabric,
}

/// Connects, waiting for a Fabric that is not there yet.
#[uniffi::export]
pub async fn connect(settings: ConnectSettings) -> Result<Arc<Connection>, NativeError> {
    let settings = settings.into_core()?;
    let fabric = runtime::within(Fabric::connect(settings)).await??;
    Ok(Arc::new(Connection { fabric }))
}

impl ConnectSettings {
    fn into_core(self) -> Result<Settings, NativeError> {
        let mut settings = Settings::from_env()?.with_client(self.library, self.language, self.version);
        if let Some(endpoint) = self.endpoint {
            settings = settings.with_endpoint(endpoint);
        }
        if let Some(token) = self.token {
            settings = settings.with_token(token);
        }
        if let Some(file) = self.ca_file {
            settings = settings.with_ca_file(file);
        }
        match (self.certificate_file, self.key_file) {
            (Some(certificate), Some(key)) => settings = settings.with_identity_files(certificate, key),
            (None, None) => {}
            (certificate, _) => {
                let missing = if certificate.is_some() { "key_file" } else { "certificate_file" };
                let message = format!("mutual TLS needs a certificate and its key; {missing} is missing");
                return Err(perper::Error::new(perper::ErrorKind::InvalidSettings, message).into());
            }
        }
        if self.connect_timeout_ms > 0 {
            settings = settings.with_connect_timeout(Duration::from_millis(self.connect_timeout_ms));
        }
        Ok(settings)
    }
}

#[uniffi::export]
impl Connection {
    /// A port for a program that is no agent: requests and their completions only.
    pub fn open_port(&self) -> Arc<Port> {
        Arc::new(Port::of(perper::application::worker::Port::new(self.fabric.clone())))
    }

    /// A port that serves an agent.
    pub fn serve(&self, settings: ServeSettings) -> Result<Arc<Port>, NativeError> {
        let _entered = runtime::enter()?;
        let port = perper::application::worker::Port::serve(self.fabric.clone(), settings.into())?;
        Ok(Arc::new(Port::of(port)))
    }

    /// Where the Fabric is.
    pub fn endpoint(&self) -> String {
        self.fabric.settings().endpoint().to_owned()
    }

    /// What the Fabric told about itself when it was last connected to.
    pub fn server(&self) -> Option<ServerInfo> {
        self.fabric.server().map(|server| ServerInfo {
            version: server.version,
            cluster_id: server.cluster_id,
            features: server.features,
            value_bytes: server.value_bytes,
        })
    }

    /// Ends the session: sends what is queued, gives back what is reserved, cancels calls in flight. Closing twice is
    /// harmless.
    pub async fn close(&self) -> Result<(), NativeError> {
        Ok(runtime::within(self.fabric.close()).await??)
    }
}
