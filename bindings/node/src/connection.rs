use napi::{
    Env, Result,
    bindgen_prelude::{Either, Function, Object},
};
use napi_derive::napi;
use perper::{application::worker::Port, protocol::Fabric};

use crate::{
    options::{ConnectOptions, ServeOptions},
    port::NativePort,
    refusal::Refusal,
    runtime::{promise, runtime},
};

/// A connection to a Fabric. It is closed when it is collected, if not before.
#[napi]
pub struct NativeConnection {
    fabric: Fabric,
}

/// Connects. Resolves to a `NativeConnection` or a `Refusal`.
#[napi(catch_unwind)]
pub fn connect<'env>(env: &'env Env, options: ConnectOptions) -> Result<Object<'env>> {
    promise(env, async move {
        let fabric = Fabric::connect(options.settings()?).await?;
        Ok(NativeConnection { fabric })
    })
}

#[napi]
impl NativeConnection {
    /// The agent that the environment names; empty if it names none.
    #[napi(getter, catch_unwind)]
    pub fn agent(&self) -> String {
        self.fabric.settings().agent().unwrap_or_default().to_owned()
    }

    /// The instance that the environment names; empty if it names none.
    #[napi(getter, catch_unwind)]
    pub fn instance(&self) -> String {
        self.fabric.settings().instance().unwrap_or_default().to_owned()
    }

    /// An id that nobody else makes.
    #[napi(catch_unwind)]
    pub fn new_id(&self) -> String {
        self.fabric.new_id()
    }

    /// A port for requests alone. `wake` is called once each time that there is something to drain.
    #[napi(catch_unwind)]
    pub fn open(&self, wake: Function<'_, (), ()>) -> Result<NativePort> {
        NativePort::new(Port::new(self.fabric.clone()), wake)
    }

    /// A port that serves an agent.
    #[napi(catch_unwind)]
    pub fn serve(
        &self,
        options: ServeOptions,
        wake: Function<'_, (), ()>,
    ) -> Result<Either<NativePort, Refusal>> {
        let _entered = runtime().enter();
        match Port::serve(self.fabric.clone(), options.worker(self.fabric.settings())) {
            Ok(port) => Ok(Either::A(NativePort::new(port, wake)?)),
            Err(error) => Ok(Either::B(error.into())),
        }
    }

    /// Ends the session: what is reserved is given back, calls in flight are cancelled.
    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let fabric = self.fabric.clone();
        promise(env, async move { fabric.close().await })
    }
}

impl Drop for NativeConnection {
    fn drop(&mut self) {
        // Harmless where it has been closed. The event loop that would wait is going, so nobody does.
        let fabric = self.fabric.clone();
        runtime().spawn(async move { fabric.close().await });
    }
}
