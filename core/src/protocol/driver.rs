use std::{pin::pin, sync::Arc, time::Duration};

use perper_proto::Together;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::{
    Request,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};

use super::{
    connect,
    hub::{Hub, lock},
    machines::retry::{Retry, Verdict, verdict},
    pump::{FrameCodec, Pump},
    random,
    reply::closed,
    settings::Settings,
};
use crate::{Error, ErrorKind, Result};

/// How long a server may take to attach a session, and to end one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what is in flight may take to be answered by a server that is stopping.
const DRAIN: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE: Duration = Duration::from_secs(5);

/// Starts the one task of a client.
pub(super) fn start(settings: Settings) -> Result<Arc<Hub>> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
        Error::new(ErrorKind::InvalidSettings, "there is no tokio runtime here; connect from within one")
    })?;
    let endpoint = connect::endpoint(&settings)?;
    let started = Arc::new(Hub::new(settings, &endpoint)?);
    let hub = started.clone();
    // Calls beside the session's stream are no part of this: they go on when this has ended.
    let together = Together::default();
    let endpoint = endpoint.executor(together.clone());
    runtime.spawn(together.run(async move {
        let reason = {
            let connections = pin!(keep_connected(&hub, &endpoint));
            let lease = pin!(keep_lease(&hub));
            let closing = pin!(close_in_time(&hub));
            tokio::select! {
                reason = connections => reason,
                () = closing => closed(),
                never = lease => match never {},
            }
        };
        hub.fail(reason);
    }));
    Ok(started)
}

enum Never {}

/// Sends heartbeats, and revokes what can no longer be held.
async fn keep_lease(hub: &Hub) -> Never {
    loop {
        let changed = hub.lease_changed.notified();
        match hub.tend_lease() {
            // A frame that goes out meanwhile moves the moment; then we only look again too early.
            Some(next) => {
                tokio::select! {
                    () = sleep_until(Instant::from_std(next)) => {}
                    () = changed => {}
                }
            }
            None => changed.await,
        }
    }
}

/// Ends when closing has been asked for and has taken long enough.
async fn close_in_time(hub: &Hub) {
    hub.closing.notified().await;
    sleep(CLOSE).await;
}

/// Connects, again and again. Ends with the reason why it will not any more.
async fn keep_connected(hub: &Arc<Hub>, endpoint: &Endpoint) -> Error {
    let mut retry = Retry::new();
    let mut connected_before = false;
    loop {
        let (link, attach) = hub.begin_link();
        let resume = attach.resume;
        let mut attached = false;
        let error = match open(hub, endpoint, link, attach).await {
            Ok(mut frames) => match serve(hub, link, &mut frames, &mut attached).await {
                Ok(()) => Error::new(ErrorKind::Unavailable, "the Fabric ended the connection"),
                Err(error) => error,
            },
            Err(error) => error,
        };
        hub.lost(link);
        let closing = lock(&hub.state).closing;
        if closing && (attached || !connected_before) {
            return closed();
        }
        if attached {
            connected_before = true;
            retry.succeeded();
            tracing::info!(%error, "the connection to the Fabric is gone; connecting again");
        }
        match verdict(error.kind()) {
            Verdict::Final => return error,
            Verdict::NewSession if resume || attached => {
                tracing::warn!(%error, "the Fabric does not know this session any more; opening another one");
                match random::bytes_128() {
                    Ok(session_id) => hub.expired(session_id),
                    Err(error) => return error,
                }
                if retry.failures() == 0 {
                    continue;
                }
            }
            Verdict::NewSession | Verdict::Again => {}
        }
        // A connection that was good is replaced at once.
        if !attached {
            if retry.failures() == 0 && !connected_before {
                tracing::warn!(
                    endpoint = hub.settings.endpoint,
                    %error,
                    "the Fabric cannot be reached; waiting for it"
                );
            }
            let hurry = lock(&hub.state).lease.next().is_some();
            sleep(retry.failed(random::jitter(), hurry)).await;
            // Who was closed before it met any Fabric has nothing to say to one that comes.
            if !connected_before && lock(&hub.state).closing {
                return closed();
            }
        } else {
            // Once at once; if that fails too, with growing pauses.
            tokio::task::yield_now().await;
        }
    }
}

type Frames = tonic::Streaming<perper_proto::v1::ServerFrame>;

/// Opens the session's stream on a new connection.
async fn open(
    hub: &Arc<Hub>,
    endpoint: &Endpoint,
    link: u64,
    attach: perper_proto::v1::Attach,
) -> Result<Frames> {
    let opening = async {
        let channel: Channel = endpoint.connect().await.map_err(|error| {
            if connect::is_refused(&error) {
                hub.server_gone();
            }
            connect::unreachable(&error)
        })?;
        // What a Fabric sends is bounded by credit and by its own limits.
        let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
        grpc.ready().await.map_err(|error| connect::unreachable(&error))?;
        let mut request = Request::new(Pump::new(hub.clone(), link, attach));
        connect::authorize(&hub.settings, request.metadata_mut())?;
        let path = PathAndQuery::from_static("/perper.v1.Sessions/Attach");
        let response = grpc.streaming(request, path, FrameCodec).await;
        response.map(tonic::Response::into_inner).map_err(|status| Error::from_status(&status))
    };
    match timeout(PATIENCE, opening).await {
        Ok(frames) => frames,
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("the Fabric at {} did not answer within {PATIENCE:?}", hub.settings.endpoint),
        )),
    }
}

/// Reads a connection until it ends.
async fn serve(hub: &Arc<Hub>, link: u64, frames: &mut Frames, attached: &mut bool) -> Result<()> {
    let next =
        |message: Result<Option<_>, tonic::Status>| message.map_err(|status| Error::from_status(&status));
    let first = match timeout(PATIENCE, frames.message()).await {
        Ok(message) => next(message)?,
        Err(_) => {
            return Err(Error::new(ErrorKind::Unavailable, format!("no session within {PATIENCE:?}")));
        }
    };
    let Some(mut first) = first else { return Ok(()) };
    let Some(answer) = first.attached.take() else {
        return Err(Error::new(
            ErrorKind::ProtocolNotSupported,
            "the first frame of the Fabric does not attach the session; update the older of the two",
        ));
    };
    if first.draining {
        // It is about to stop: by the time we come again it has, or another server answers.
        return Err(Error::new(ErrorKind::Draining, "the Fabric is stopping"));
    }
    if !hub.attached(link, answer) {
        return Ok(());
    }
    *attached = true;
    hub.dispatch(link, first);
    let mut leave_by: Option<Instant> = None;
    loop {
        let message = match leave_by {
            None => frames.message().await,
            Some(moment) => match timeout(moment - Instant::now(), frames.message()).await {
                Ok(message) => message,
                Err(_) => return Ok(()),
            },
        };
        let Some(frame) = next(message)? else { return Ok(()) };
        hub.dispatch(link, frame);
        if hub.is_draining() {
            if !hub.is_waiting_for_answers() {
                return Ok(());
            }
            leave_by.get_or_insert_with(|| Instant::now() + DRAIN);
        }
    }
}

impl Hub {
    fn is_draining(&self) -> bool {
        lock(&self.state).draining
    }

    fn is_waiting_for_answers(&self) -> bool {
        lock(&self.state).session.in_flight() > 0
    }
}
