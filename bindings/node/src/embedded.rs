use std::sync::{Arc, Mutex, PoisonError};

use napi::{Env, Result, bindgen_prelude::Object};
use napi_derive::napi;
use perper::embedded::Embedded;

use crate::runtime::promise;

/// A Fabric in this process. When it is collected without having been shut down, it ends as in a crash.
#[napi]
pub struct NativeEmbedded {
    endpoint: String,
    fabric: Arc<Mutex<Option<Embedded>>>,
}

/// Starts a Fabric on a free port: in memory, or over a folder. Resolves to a `NativeEmbedded` or a `Refusal`.
#[napi(catch_unwind)]
pub fn embedded<'env>(env: &'env Env, folder: Option<String>) -> Result<Object<'env>> {
    promise(env, async move {
        let fabric = match folder {
            Some(folder) => Embedded::durable(folder).await?,
            None => Embedded::temporary().await?,
        };
        Ok(NativeEmbedded { endpoint: fabric.endpoint(), fabric: Arc::new(Mutex::new(Some(fabric))) })
    })
}

#[napi]
impl NativeEmbedded {
    /// Where it is.
    #[napi(getter, catch_unwind)]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Ends it; the second time there is nothing to do.
    #[napi(catch_unwind)]
    pub fn shutdown<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let fabric = self.fabric.lock().unwrap_or_else(PoisonError::into_inner).take();
        promise(env, async move {
            match fabric {
                Some(fabric) => fabric.shutdown().await,
                None => Ok(()),
            }
        })
    }
}
