use std::{fmt, path::PathBuf, time::Duration};

use crate::{Error, ErrorKind, Result};

/// Where the Fabric is found when nothing else is said.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:40400";

/// Texts by name: the environment, or in tests a table.
///
/// ```
/// use perper::protocol::Settings;
///
/// let table = |name: &str| (name == "PERPER_FABRIC_ENDPOINT").then(|| "http://fabric:40400".to_owned());
/// let settings = Settings::from_strings(&table)?;
/// assert_eq!(settings.endpoint(), "http://fabric:40400");
/// # Ok::<(), perper::Error>(())
/// ```
pub trait Strings {
    /// The text of that name, if there is one.
    fn get(&self, name: &str) -> Result<Option<String>>;
}

impl<F: Fn(&str) -> Option<String>> Strings for F {
    fn get(&self, name: &str) -> Result<Option<String>> {
        Ok(self(name))
    }
}

/// The environment of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment;

impl Strings for Environment {
    fn get(&self, name: &str) -> Result<Option<String>> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Error::new(
                ErrorKind::InvalidSettings,
                format!("the environment variable {name} is not UTF-8; set it to text"),
            )),
        }
    }
}

/// How to reach a Fabric, and who this process is.
///
/// Arguments win over the environment, the environment over the defaults:
///
/// | method | variable | default |
/// | --- | --- | --- |
/// | [`with_endpoint`](Settings::with_endpoint) | `PERPER_FABRIC_ENDPOINT` | `http://127.0.0.1:40400` |
/// | [`with_token`](Settings::with_token) | `PERPER_TOKEN` | none |
/// | [`with_ca_file`](Settings::with_ca_file) | `PERPER_CA_FILE` | the system's certificates |
/// | [`with_agent`](Settings::with_agent) | `X_PERPER_AGENT` | none |
/// | [`with_instance`](Settings::with_instance) | `X_PERPER_INSTANCE` | none |
#[derive(Clone)]
#[must_use]
pub struct Settings {
    pub(crate) endpoint: String,
    pub(crate) token: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) identity_files: Option<(PathBuf, PathBuf)>,
    pub(crate) agent: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) library: String,
    pub(crate) language: String,
    pub(crate) version: String,
    pub(crate) connect_timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            ca_file: None,
            identity_files: None,
            agent: None,
            instance: None,
            library: "perper-rust".to_owned(),
            language: "rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            connect_timeout: None,
        }
    }
}

impl Settings {
    /// The settings that the environment gives.
    pub fn from_env() -> Result<Self> {
        Settings::from_strings(&Environment)
    }

    /// The settings that texts under the names of the environment's variables give. An empty text is none.
    pub fn from_strings(strings: &impl Strings) -> Result<Self> {
        let get = |name| Ok::<_, Error>(strings.get(name)?.filter(|value| !value.is_empty()));
        let mut settings = Settings::default();
        if let Some(endpoint) = get("PERPER_FABRIC_ENDPOINT")? {
            settings.endpoint = endpoint;
        }
        settings.token = get("PERPER_TOKEN")?;
        settings.ca_file = get("PERPER_CA_FILE")?.map(PathBuf::from);
        settings.agent = get("X_PERPER_AGENT")?;
        settings.instance = get("X_PERPER_INSTANCE")?;
        settings.check()?;
        Ok(settings)
    }

    /// Where the Fabric is: `http://host:port`, or `https://host:port` for TLS.
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// A bearer token to send with every request.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A file of PEM certificates to trust in place of the system's.
    pub fn with_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The client's certificate and its key, PEM files, for a Fabric that asks for mutual TLS.
    pub fn with_identity_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity_files = Some((certificate.into(), key.into()));
        self
    }

    /// The agent that this process serves; scalers set it.
    pub fn with_agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// The instance that this process serves alone; scalers set it.
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Who the client is, for logs and the dashboard: bindings name themselves here.
    pub fn with_client(
        mut self,
        library: impl Into<String>,
        language: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        self.library = library.into();
        self.language = language.into();
        self.version = version.into();
        self
    }

    /// Gives up connecting after this long. Without it, connecting waits for the Fabric to come.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Where the Fabric is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The agent that this process serves, if that is set.
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// The instance that this process serves alone, if that is set.
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Whether the settings can be used at all, told before anything is tried.
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidSettings, message));
        let endpoint = &self.endpoint;
        let uri: http::Uri = match endpoint.parse() {
            Ok(uri) => uri,
            Err(error) => {
                return invalid(format!(
                    "the endpoint {endpoint:?} is not a URI ({error}); use http://host:port"
                ));
            }
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => {
                return invalid(format!(
                    "the endpoint {endpoint:?} asks for TLS, which this build leaves out; enable the feature \"tls\""
                ));
            }
            _ => return invalid(format!("the endpoint {endpoint:?} has no scheme; use http://host:port")),
        }
        if uri.host().is_none_or(str::is_empty) {
            return invalid(format!("the endpoint {endpoint:?} names no host; use http://host:port"));
        }
        if uri.path() != "/" && !uri.path().is_empty() {
            return invalid(format!("the endpoint {endpoint:?} has a path; use http://host:port alone"));
        }
        if self.token.as_ref().is_some_and(|token| !token.bytes().all(|byte| (0x21..0x7f).contains(&byte))) {
            return invalid(
                "the token has characters other than visible ASCII; check PERPER_TOKEN".to_owned(),
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            // Logs must not hold secrets.
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("ca_file", &self.ca_file)
            .field("identity_files", &self.identity_files)
            .field("agent", &self.agent)
            .field("instance", &self.instance)
            .field("library", &self.library)
            .field("language", &self.language)
            .field("version", &self.version)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(table: &[(&str, &str)]) -> Result<Settings> {
        Settings::from_strings(&|name: &str| {
            table.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_the_local_fabric() -> Result<()> {
        let settings = from(&[("PERPER_TOKEN", "")])?;
        assert_eq!(settings.endpoint(), DEFAULT_ENDPOINT);
        assert_eq!((settings.agent(), settings.instance(), &settings.token), (None, None, &None));
        Ok(())
    }

    #[test]
    fn arguments_win_over_the_environment() -> Result<()> {
        let settings = from(&[("PERPER_FABRIC_ENDPOINT", "http://a:1"), ("X_PERPER_AGENT", "Shop")])?;
        assert_eq!((settings.endpoint(), settings.agent()), ("http://a:1", Some("Shop")));
        assert_eq!(settings.with_endpoint("http://b:2").endpoint(), "http://b:2");
        Ok(())
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (endpoint, complaint) in [
            ("fabric:40400", "scheme"),
            ("ftp://fabric", "scheme"),
            ("http://", "URI"),
            ("http://fabric/perper", "path"),
            ("http://fab ric", "URI"),
        ] {
            let error = from(&[("PERPER_FABRIC_ENDPOINT", endpoint)]).expect_err(endpoint);
            assert_eq!(error.kind(), ErrorKind::InvalidSettings);
            assert!(error.message().contains(complaint), "{error}");
        }
        let error = from(&[("PERPER_TOKEN", "two words")]).expect_err("a token with a space");
        assert!(error.message().contains("PERPER_TOKEN") && !error.message().contains("words"), "{error}");
    }

    #[test]
    fn the_token_stays_out_of_logs() -> Result<()> {
        let settings = from(&[("PERPER_TOKEN", "s3cret")])?;
        assert!(!format!("{settings:?}").contains("s3cret"));
        Ok(())
    }
}
