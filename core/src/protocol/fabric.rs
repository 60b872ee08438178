use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use perper_proto::v1::{request, response};
use tokio::sync::oneshot;

use super::{
    driver,
    hub::Hub,
    machines::session::Class,
    reply::Reply,
    request::{Answer, Body, Encoded, Waiter},
    settings::Settings,
};
use crate::{Error, ErrorKind, Result};

/// A connection to a Fabric: the lowest layer, on which everything else stands.
///
/// Cheap to clone; all clones share one session over one HTTP/2 stream. The session ends when it is
/// [closed](Fabric::close) or the last clone goes. Lost connections are made again, and what was under way is
/// completed, without anyone noticing but for the time it takes.
///
/// Most methods queue their request at once and return a [`Reply`] to await; see there for what that promises.
///
/// ```no_run
/// use perper::protocol::{Fabric, NewExecution, Settings};
///
/// # async fn example() -> perper::Result<()> {
/// let fabric = Fabric::connect(Settings::from_env()?).await?;
/// let arguments = vec![bytes::Bytes::from_static(b"\x65World")];
/// let results = fabric.call_execution(NewExecution {
///     agent: "Hello".into(),
///     delegate: "Greet".into(),
///     arguments,
///     ..NewExecution::new(fabric.new_id())
/// }).await?;
/// # drop(results);
/// fabric.close().await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fabric {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hub: Arc<Hub>,
    /// 128 random bits; with a number behind them they make ids that nobody else makes.
    id_prefix: String,
    next_id: AtomicU64,
    next_writer: AtomicU64,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.hub.close();
    }
}

/// What the Fabric told about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Version of the server.
    pub version: String,
    /// Made when the data was first created: another id means another Fabric, with other data.
    pub cluster_id: String,
    /// The protocol version that is spoken.
    pub protocol: u32,
    /// The optional features that the server offers.
    pub features: Vec<String>,
    /// The largest value, in bytes; 0 if the server did not say.
    pub value_bytes: u64,
    /// The largest dictionary key, in bytes.
    pub key_bytes: u64,
    /// Operations in one update of a dictionary.
    pub dictionary_operations: u32,
    /// Nesting depth of values.
    pub depth: u32,
}

impl Fabric {
    /// Connects, waiting for a Fabric that is not there yet.
    ///
    /// It fails at once for what waiting does not mend (a wrong token, no common protocol, malformed settings), and
    /// with [`Unavailable`](crate::ErrorKind::Unavailable) when
    /// [`with_connect_timeout`](Settings::with_connect_timeout) is set and has passed.
    pub async fn connect(settings: Settings) -> Result<Self> {
        let patience = settings.connect_timeout;
        let fabric = Self::start(settings)?;
        match patience {
            None => fabric.ready().await?,
            Some(patience) => tokio::time::timeout(patience, fabric.ready()).await.unwrap_or_else(|_| {
                let endpoint = fabric.settings().endpoint();
                let message = format!("no Fabric answered at {endpoint} within {patience:?}");
                Err(Error::new(ErrorKind::Unavailable, message).with("endpoint", endpoint))
            })?,
        }
        Ok(fabric)
    }

    /// Begins to connect and returns at once; what is requested meanwhile is sent when there is a connection.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(settings: Settings) -> Result<Self> {
        settings.check()?;
        let id_prefix = super::random::hex_128()?;
        let hub = driver::start(settings)?;
        Ok(Fabric {
            shared: Arc::new(Shared {
                hub,
                id_prefix,
                next_id: AtomicU64::new(0),
                next_writer: AtomicU64::new(1),
            }),
        })
    }

    /// Waits until there is a session.
    pub async fn ready(&self) -> Result<()> {
        self.hub().ready().await
    }

    /// What the Fabric told about itself when it was last connected to; `None` before the first time.
    pub fn server(&self) -> Option<Server> {
        self.hub().server()
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.hub().settings
    }

    /// Ends the session: sends what is queued, gives back what is reserved, cancels calls in flight.
    ///
    /// Everything that waits fails with [`Closed`](crate::ErrorKind::Closed). Closing twice is harmless.
    pub async fn close(&self) -> Result<()> {
        self.hub().close();
        self.hub().closed().await;
        Ok(())
    }

    /// A new id, for an object of any kind: made here, without asking anyone, and never made twice.
    pub fn new_id(&self) -> String {
        let number = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:x}", self.shared.id_prefix)
    }

    pub(crate) fn new_writer_number(&self) -> u64 {
        self.shared.next_writer.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.shared.hub
    }

    /// Queues a request that somebody waits for.
    pub(crate) fn request<T>(
        &self,
        class: Class,
        operation: request::Request,
        decode: fn(Option<response::Response>) -> Result<T>,
    ) -> Reply<T> {
        self.request_with(class, operation, Waiter::Reply, decode)
    }

    pub(crate) fn request_with<T>(
        &self,
        class: Class,
        operation: request::Request,
        waiter: impl FnOnce(oneshot::Sender<Answer>) -> Waiter,
        decode: fn(Option<response::Response>) -> Result<T>,
    ) -> Reply<T> {
        if let Err(error) = self.hub().check_size(&operation) {
            return Reply::refused(error, decode);
        }
        let (sender, receiver) = oneshot::channel();
        let creates = creates(&operation);
        self.hub().push(class, Body::Encoded(Encoded::new(operation)), waiter(sender), creates);
        Reply::new(receiver, decode)
    }
}

/// Whether something exists after the operation that later requests may refer to.
pub(crate) fn creates(operation: &request::Request) -> bool {
    use request::Request as R;
    matches!(
        operation,
        R::CreateExecution(_)
            | R::StartInstance(_)
            | R::CreateStream(_)
            | R::CreateDictionary(_)
            | R::CreateList(_)
    )
}
