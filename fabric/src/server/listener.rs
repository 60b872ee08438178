//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::log_gate::LogGate;
use crate::Error;

/// How long accepting pauses when the system has no file descriptor or memory left: the connection stays in the
/// queue, so trying again at once would spin.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address.
pub(super) async fn listen(
    address: SocketAddr,
    purpose: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let listen = |error| Error::listen(address, purpose, error);
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let actual = listener.local_addr().map_err(listen)?;
    Ok((listener, actual))
}

/// Hands over connections until it is told to stop, and never more than a number of them at once.
pub(super) async fn accept(
    listener: TcpListener,
    max_connections: usize,
    stop: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
) {
    let permits = Arc::new(Semaphore::new(max_connections));
    let (full, failing) = (LogGate::default(), LogGate::default());
    let next = async || {
        // The permit comes first: past the limit, connections wait in the system's queue and cost nothing here.
        if permits.available_permits() == 0
            && let Some(unlogged) = full.open()
        {
            warn!(
                max_connections,
                unlogged, "as many connections as allowed; further ones wait (--max-connections)"
            );
        }
        // Only a closed semaphore refuses, and this one is never closed.
        let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = listener.accept().await?;
        Ok::<_, io::Error>((stream, peer, permit))
    };
    while let Some(accepted) = stop.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer, permit)) => serve(stream, peer, permit),
            // The client went before it was accepted: its business alone.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(unlogged) = failing.open() {
                    warn!(%error, unlogged, "connections cannot be accepted; are there enough file descriptors (ulimit -n)?");
                }
                stop.run_until_cancelled(tokio::time::sleep(EXHAUSTED_PAUSE)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
