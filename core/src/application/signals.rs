use crate::{Error, ErrorKind, Result};

/// Waits for the process to be told to stop. The handlers are in place when this returns.
#[cfg(unix)]
pub(super) fn stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for the process to be told to stop.
#[cfg(not(unix))]
pub(super) fn stop() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "ctrl-c cannot be waited for");
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(unix)]
fn failed(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the handler of a signal cannot be set: {error}"))
}
