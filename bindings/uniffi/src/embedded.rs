use std::sync::{Arc, Mutex, PoisonError};

use perper::embedded::Embedded;

use crate::{NativeError, runtime};

/// A Fabric in this process, on loopback and a free port: for tests, and for programs that need no server beside them.
#[derive(Debug, uniffi::Object)]
pub struct EmbeddedFabric {
    endpoint: String,
    /// `None` after it was shut down.
    fabric: Mutex<Option<Embedded>>,
}

#[uniffi::export]
impl EmbeddedFabric {
    /// Starts one that keeps everything in memory.
    #[uniffi::constructor]
    pub async fn temporary() -> Result<Arc<Self>, NativeError> {
        Ok(Arc::new(runtime::within(Embedded::temporary()).await??.into()))
    }

    /// Starts one that keeps everything in a folder, and finds it there again.
    #[uniffi::constructor]
    pub async fn durable(folder: String) -> Result<Arc<Self>, NativeError> {
        Ok(Arc::new(runtime::within(Embedded::durable(folder)).await??.into()))
    }

    /// Where it is: `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Ends it orderly. Ending it twice is harmless; forgetting to is as a crash.
    pub async fn shutdown(&self) -> Result<(), NativeError> {
        let fabric = self.fabric.lock().unwrap_or_else(PoisonError::into_inner).take();
        match fabric {
            Some(fabric) => Ok(runtime::within(fabric.shutdown()).await??),
            None => Ok(()),
        }
    }
}

impl From<Embedded> for EmbeddedFabric {
    fn from(fabric: Embedded) -> Self {
        EmbeddedFabric { endpoint: fabric.endpoint(), fabric: Mutex::new(Some(fabric)) }
    }
}

impl Drop for EmbeddedFabric {
    fn drop(&mut self) {
        // Its tasks are ended on the runtime, which the thread of a garbage collector has not entered.
        let entered = runtime::enter();
        drop(self.fabric.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(entered);
    }
}
