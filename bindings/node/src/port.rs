use std::sync::Arc;

use napi::{
    Error, Result, Status,
    bindgen_prelude::{Buffer, Function},
    threadsafe_function::ThreadsafeFunctionCallMode,
};
use napi_derive::napi;
use perper::application::worker::Port;
use tokio::{sync::Notify, task::AbortHandle};

use crate::runtime::runtime;

/// A port of the core: packed batches out and in.
#[napi]
pub struct NativePort {
    port: Port,
    /// Told when everything has been drained: only then is the event loop woken again.
    drained: Arc<Notify>,
    waker: AbortHandle,
}

impl NativePort {
    pub(crate) fn new(port: Port, wake: Function<'_, (), ()>) -> Result<Self> {
        // Weak: whether the process goes on is decided by what runs, not by there being a connection.
        let wake = wake.build_threadsafe_function::<()>().weak::<true>().build()?;
        let drained = Arc::new(Notify::new());
        let (watched, emptied) = (port.clone(), drained.clone());
        let waker = runtime().spawn(async move {
            loop {
                watched.ready().await;
                if wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
                    // The event loop is gone.
                    return;
                }
                emptied.notified().await;
            }
        });
        Ok(NativePort { port, drained, waker: waker.abort_handle() })
    }
}

#[napi]
impl NativePort {
    /// Hands over a batch of answers and requests.
    #[napi(catch_unwind)]
    pub fn submit(&self, batch: &[u8]) -> Result<()> {
        let _entered = runtime().enter();
        self.port.submit(batch.to_vec()).map_err(|error| Error::from_reason(error.to_string()))
    }

    /// Takes what waits, about that many bytes of it. Nothing when nothing waits: from then on, `wake` is called again.
    #[napi(catch_unwind)]
    pub fn drain(&self, max_bytes: u32) -> Option<Buffer> {
        let _entered = runtime().enter();
        let batch = self.port.drain(max_bytes as usize);
        if batch.is_empty() {
            self.drained.notify_one();
            return None;
        }
        Some(batch.into())
    }

    /// Wakes nobody any more.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.waker.abort();
    }
}

impl Drop for NativePort {
    fn drop(&mut self) {
        self.waker.abort();
    }
}
