use std::{future::Future, io::IsTerminal as _, sync::OnceLock};

use napi::{
    Env, Result,
    bindgen_prelude::{Either, Object, ToNapiValue},
};
use perper::application::worker::Port;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

use crate::refusal::Refusal;

/// The runtime of the process, shared by all of its event loops (worker threads have one each). Made when something
/// first needs it, and never torn down: what runs in it ends with the connections.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        log_to_stderr();
        let threads = Port::runtime_threads();
        let built =
            Builder::new_multi_thread().worker_threads(threads).enable_all().thread_name("perper").build();
        built.expect("the threads of the runtime can be started")
    })
}

/// What the core has to say, warnings and worse unless `PERPER_LOG` says otherwise.
fn log_to_stderr() {
    let filter = EnvFilter::builder().with_env_var("PERPER_LOG").try_from_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("warn"));
    let logged = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only where a subscriber is set already, which then shall have it.
    let _ = logged.try_init();
}

/// What becomes of a promise.
pub(crate) type Settled<T> = Either<T, Refusal>;

type Resolver<T> = Box<dyn FnOnce(Env) -> Result<Settled<T>> + Send>;

/// A promise of what a future brings. It is never rejected: an error of the core is resolved as a [`Refusal`], with its
/// kind intact, and thrown as the class that it has in JavaScript.
pub(crate) fn promise<'env, T>(
    env: &'env Env,
    future: impl Future<Output = perper::Result<T>> + Send + 'static,
) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred::<Settled<T>, Resolver<T>>()?;
    runtime().spawn(async move {
        let settled = match future.await {
            Ok(value) => Either::A(value),
            Err(error) => Either::B(error.into()),
        };
        deferred.resolve(Box::new(move |_| Ok(settled)));
    });
    Ok(promise)
}
