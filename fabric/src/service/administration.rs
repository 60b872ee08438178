use std::time::Duration;

use bytes::Bytes;
use perper_proto::{Reason, v1};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use v1::administration_server::Administration;

use super::Service;
use crate::engine::{Backup, Result as EngineResult};

/// Bytes of one message of a backup, below the least limit of a message that can be set.
const MESSAGE_BYTES: usize = 32 << 10;

/// Messages that wait for a client.
const MESSAGES: usize = 8;

/// How long a client may take nothing. Meanwhile what is written is noted on disk for it.
const PATIENCE: Duration = Duration::from_secs(60);

type Message = Result<v1::BackupResponse, Status>;

#[tonic::async_trait]
impl Administration for Service {
    type BackupStream = ReceiverStream<Message>;

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let engine = self.0.engine().clone();
        let backup = tokio::task::spawn_blocking(move || engine.backup())
            .await
            .map_err(|error| Reason::Internal.error(format!("the backup did not begin: {error}")))??;
        tracing::info!("a backup is being taken");
        let (sender, receiver) = mpsc::channel(MESSAGES + 1);
        let last = sender.clone().try_reserve_owned().ok();
        let sending = Sending { sender, last, stopping: self.0.stopping(), runtime: Handle::current() };
        // It reads from the disk, and so has a thread for as long as it takes.
        tokio::task::spawn_blocking(move || sending.run(backup));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// A backup on its way to a client.
struct Sending {
    sender: mpsc::Sender<Message>,
    /// Room for an error, whatever else the client has not taken: an end without one would say that all is there.
    last: Option<mpsc::OwnedPermit<Message>>,
    /// Cancelled when the server stops.
    stopping: CancellationToken,
    runtime: Handle,
}

impl Sending {
    fn run(mut self, backup: Backup) {
        let mut bytes = 0;
        match self.send_all(backup, &mut bytes) {
            Ok(true) => tracing::info!(bytes, "a backup was taken"),
            Ok(false) => tracing::warn!(bytes, "a backup was broken off by its client"),
            Err(error) => {
                tracing::warn!(bytes, reason = error.reason, error = error.message, "a backup failed");
                if let Some(last) = self.last.take() {
                    last.send(Err(error.into()));
                }
            }
        }
    }

    /// False if the client has gone.
    fn send_all(&self, backup: Backup, sent: &mut usize) -> EngineResult<bool> {
        for bytes in backup {
            let mut bytes = bytes?;
            while !bytes.is_empty() {
                let data = bytes.split_to(bytes.len().min(MESSAGE_BYTES));
                *sent += data.len();
                if !self.send(data)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn send(&self, data: Bytes) -> EngineResult<bool> {
        let message = Ok(v1::BackupResponse { data });
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => {
                    Err(Reason::Draining.error("the server is stopping; take the backup when it is back"))
                }
                sent = timeout(PATIENCE, self.sender.send(message)) => match sent {
                    Ok(sent) => Ok(sent.is_ok()),
                    Err(_) => Err(Reason::LimitExceeded.error(format!(
                        "the client took nothing of the backup for {PATIENCE:?}; write it to a faster place"
                    ))),
                },
            }
        })
    }
}
