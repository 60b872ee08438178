use std::{
    future::Future,
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll},
};

use perper::application::worker::Port;
use tokio::runtime::{Builder, EnterGuard, Runtime};

use crate::NativeError;

/// The runtime that carries connections. Made with the first of them, never at load; it lasts as long as the process.
fn runtime() -> Result<&'static Runtime, NativeError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(Port::runtime_threads())
            .thread_name("perper")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| {
        let message = format!("the threads of the native library could not be started: {error}");
        perper::Error::new(perper::ErrorKind::Internal, message).into()
    })
}

/// Within this guard the core finds the runtime.
pub(crate) fn enter() -> Result<EnterGuard<'static>, NativeError> {
    Ok(runtime()?.enter())
}

/// Polls a future of the core on whatever thread the caller polls.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> Result<T, NativeError> {
    let runtime = runtime()?;
    let mut future = pin!(future);
    let output = std::future::poll_fn(|poller: &mut Context<'_>| -> Poll<T> {
        let _entered = runtime.enter();
        future.as_mut().poll(poller)
    });
    Ok(output.await)
}
