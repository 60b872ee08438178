use std::{any::Any, error::Error as StdError, ops::Deref};

use perper_values::Sequence;
use serde::Serialize;

use super::{
    serde_result::{self, Take},
    worker::{Invocation, Outcome},
};
use crate::{Error, ErrorKind, Failure};

/// What a handler may return: the results of the call, or why there are none.
///
/// Implemented for
/// * everything that serde can serialise: `()` and `None` are no result, a tuple is several, anything else is one;
/// * `Result<T, E>` of these, where `E` is an error (of the standard library's trait, of `anyhow`, or a text): an `Err`
///   is raised at the caller with the type's name and the message. An [`Error`](crate::Error) that itself was raised by
///   a callee is handed on as it came;
/// * `impl Stream`, which makes the handler a generator of a stream.
///
/// `Marker` only tells the cases apart; it is always inferred.
pub trait IntoOutcome<Marker>: Send {
    /// It is a stream, so that a plain call of the delegate gives a reference to one.
    const GENERATES: bool = false;

    /// The outcome; for a stream, after it has been written to its end.
    fn into_outcome(self, invocation: &Invocation) -> impl Future<Output = Outcome> + Send;
}

/// Marks results that are values.
#[derive(Debug)]
pub enum Values {}

/// Marks a `Result` with an error of a type of its own.
#[derive(Debug)]
pub enum Fallible<Marker> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<Marker>),
}

/// Marks a `Result` with an error of any type behind a pointer, as `anyhow` has it.
#[derive(Debug)]
pub enum Dynamic<Marker> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<Marker>),
}

impl<T: Serialize + Send> IntoOutcome<Values> for T {
    async fn into_outcome(self, _: &Invocation) -> Outcome {
        match serde_result::split(&self, Results) {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Failed(failure),
        }
    }
}

impl<T, E, Marker> IntoOutcome<Fallible<Marker>> for Result<T, E>
where
    T: IntoOutcome<Marker>,
    E: StdError + Send + 'static,
{
    const GENERATES: bool = T::GENERATES;

    async fn into_outcome(self, invocation: &Invocation) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(invocation).await,
            Err(error) => Outcome::Failed(failure_of(&error)),
        }
    }
}

impl<T, E, Marker> IntoOutcome<Dynamic<Marker>> for Result<T, E>
where
    T: IntoOutcome<Marker>,
    E: Deref<Target = dyn StdError + Send + Sync> + Send,
{
    const GENERATES: bool = T::GENERATES;

    async fn into_outcome(self, invocation: &Invocation) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(invocation).await,
            Err(error) => Outcome::Failed(failure_of_dynamic(&*error)),
        }
    }
}

/// Takes values as the results of a call.
struct Results;

impl Take for Results {
    type Taken = Outcome;

    fn take<T: Serialize + ?Sized>(self, value: &T) -> Outcome {
        match Sequence::Results.encode(value) {
            Ok(results) => Outcome::Completed(results),
            Err(error) => Outcome::Failed(Error::from(error).into()),
        }
    }
}

pub(super) fn failure_of<E: StdError + 'static>(error: &E) -> Failure {
    match (error as &dyn Any).downcast_ref::<Error>() {
        Some(error) => error.clone().into(),
        None => match (error as &dyn Any).downcast_ref::<Failure>() {
            Some(failure) => failure.clone(),
            None => Failure {
                type_name: short_name(std::any::type_name::<E>()),
                message: with_causes(error),
                ..Failure::default()
            },
        },
    }
}

pub(super) fn failure_of_dynamic(error: &(dyn StdError + Send + Sync + 'static)) -> Failure {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone().into();
    }
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.clone();
    }
    Failure { type_name: "Error".to_owned(), message: with_causes(error), ..Failure::default() }
}

/// An error's text with those of its causes that it does not repeat itself.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The name of a type without its modules and parameters: what a caller in another language can make something of.
fn short_name(name: &str) -> String {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// How an error of this library crosses to a caller: a callee's failure as it was raised there, anything else under
/// the name of its kind.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.failure() {
            Some(failure) if error.kind() == ErrorKind::ExecutionFailed => failure.clone(),
            _ => Failure {
                type_name: error.reason().to_owned(),
                message: error.message().to_owned(),
                stack_trace: String::new(),
            },
        }
    }
}
