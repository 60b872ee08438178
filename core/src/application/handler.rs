use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    arguments::FromArguments,
    results::IntoOutcome,
    worker::{Invocation, Outcome},
};
use crate::{Error, Failure};

/// A handler whose types are forgotten: what the runtime calls.
#[derive(Clone)]
pub(super) struct Erased {
    call: Arc<dyn Fn(Invocation) -> Running + Send + Sync>,
    pub(super) generates: bool,
}

impl Erased {
    pub(super) fn call(&self, invocation: Invocation) -> Running {
        (self.call)(invocation)
    }
}

pub(super) type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A function that answers calls of a delegate.
///
/// Implemented for asynchronous functions and closures of up to twelve parameters, each of which implements
/// [`FromArguments`], that return something that implements [`IntoOutcome`]. `Marker` is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the handler of a delegate",
    note = "a handler is an async function of up to 12 owned parameters that implement `DeserializeOwned` (`Rest<T>` may \
            be the last), and what it returns implements `Serialize`, or is a `Result` of that, or a `Stream`; its \
            future must be `Send`"
)]
pub trait Handler<Marker>: Send + Sync + 'static {
    /// It returns a stream; see [`IntoOutcome::GENERATES`].
    const GENERATES: bool;

    /// Calls the function.
    fn invoke(&self, invocation: Invocation) -> impl Future<Output = Outcome> + Send + 'static;
}

pub(super) fn erase<Marker, H: Handler<Marker>>(handler: H) -> Erased {
    let call = Arc::new(move |invocation| Box::pin(handler.invoke(invocation)) as Running);
    Erased { call, generates: H::GENERATES }
}

macro_rules! handlers {
    ($(($($parameter:ident $position:tt)*))*) => {$(
        impl<F, Fut, Marker, $($parameter,)*> Handler<(Marker, $($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoOutcome<Marker>> + Send + 'static,
            $($parameter: FromArguments + Send + 'static,)*
        {
            const GENERATES: bool = <Fut::Output as IntoOutcome<Marker>>::GENERATES;

            #[allow(non_snake_case, reason = "values are named after their types; none without parameters")]
            fn invoke(&self, invocation: Invocation) -> impl Future<Output = Outcome> + Send + 'static {
                let call = || {
                    $(let $parameter = $parameter::from_arguments(&invocation.arguments, $position)?;)*
                    Ok::<_, Error>(self($($parameter),*))
                };
                let future = call();
                async move {
                    match future {
                        Ok(future) => future.await.into_outcome(&invocation).await,
                        Err(error) => Outcome::Failed(invalid_arguments(&invocation, &error)),
                    }
                }
            }
        }
    )*};
}

handlers! {
    ()
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 G 5)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6 I 7)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6 I 7 J 8)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6 I 7 J 8 K 9)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6 I 7 J 8 K 9 L 10)
    (A 0 B 1 C 2 D 3 E 4 G 5 H 6 I 7 J 8 K 9 L 10 M 11)
}

fn invalid_arguments(invocation: &Invocation, error: &Error) -> Failure {
    Failure {
        type_name: "InvalidArguments".to_owned(),
        message: format!("{} was called with what it cannot take: {}", invocation.delegate, error.message()),
        ..Failure::default()
    }
}
