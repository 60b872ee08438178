use napi_derive::napi;
use perper::{Error, ErrorKind};

/// An error of the core, for JavaScript to make an object of the right class of.
#[napi(object)]
pub struct Refusal {
    /// The number of its kind.
    pub code: u32,
    /// The name of its kind, or what a newer server says in its place.
    pub reason: String,
    /// What was wrong, with which value, and what to do.
    pub message: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal {
            code: error.code().into(),
            reason: error.reason().to_owned(),
            message: error.message().to_owned(),
        }
    }
}

/// A kind of error: its number and its name.
#[napi(object)]
pub struct Kind {
    /// The number.
    pub code: u32,
    /// The name.
    pub name: String,
}

/// Every kind of error that the core knows, so that a test can hold the classes in JavaScript to it.
#[napi(catch_unwind)]
pub fn error_kinds() -> Vec<Kind> {
    let kind = |kind: &ErrorKind| Kind { code: kind.code().into(), name: kind.name().to_owned() };
    ErrorKind::ALL.iter().map(kind).collect()
}
