use bytes::Bytes;
use perper_values::Sequence;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A parameter of a handler, taken from the arguments of the call.
///
/// Everything that serde can deserialise is one, by position. A missing argument is `None` where the parameter is an
/// `Option`, and an error elsewhere; surplus arguments are ignored. [`Rest`] takes all that are left.
pub trait FromArguments: Sized {
    /// The parameter at that position.
    fn from_arguments(arguments: &[Bytes], position: usize) -> Result<Self>;
}

impl<T: DeserializeOwned> FromArguments for T {
    fn from_arguments(arguments: &[Bytes], position: usize) -> Result<Self> {
        Sequence::Parameters.element(arguments, position).map_err(argument)
    }
}

/// The last parameter of a handler that takes any number of arguments: those from its position on.
///
/// ```
/// use perper::Rest;
///
/// async fn sum(first: i64, Rest(others): Rest<i64>) -> i64 {
///     first + others.iter().sum::<i64>()
/// }
/// # drop(perper::Agent::builder("Calculator").delegate("Sum", sum));
/// ```
// Not `Deserialize`, so that it cannot be mistaken for a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest<T>(pub Vec<T>);

impl<T: DeserializeOwned> FromArguments for Rest<T> {
    fn from_arguments(arguments: &[Bytes], position: usize) -> Result<Self> {
        Sequence::Parameters.rest(arguments, position).map(Rest).map_err(argument)
    }
}

fn argument(error: perper_values::Error) -> Error {
    error.at_root("arguments").into()
}
