//! Answers: what a command gave, or the error with the parts that a program decides by.

use serde_json::{Value as Json, json};

/// Why a command failed.
pub(crate) enum Failed {
    /// The library says so.
    Library(perper::Error),
    /// The command was cancelled by the harness.
    Cancelled,
    /// This peer does not understand the command.
    Command(String),
}

impl Failed {
    pub(crate) fn cancelled() -> Self {
        Failed::Cancelled
    }

    pub(crate) fn command(message: impl Into<String>) -> Self {
        Failed::Command(message.into())
    }
}

impl From<perper::Error> for Failed {
    fn from(error: perper::Error) -> Self {
        Failed::Library(error)
    }
}

/// A command that holds what the notation does not have.
impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Failed::Command(format!("{error:#}"))
    }
}

/// `{"ok": …}` or `{"error": …}`.
pub(crate) fn outcome(result: Result<Json, Failed>) -> Json {
    match result {
        Ok(ok) => json!({ "ok": ok }),
        Err(failed) => json!({ "error": error(&failed) }),
    }
}

fn error(failed: &Failed) -> Json {
    match failed {
        Failed::Library(error) => error_json(error),
        Failed::Cancelled => json!({ "kind": "CANCELLED", "message": "the harness cancelled the command" }),
        Failed::Command(message) => json!({ "kind": "COMMAND", "message": message }),
    }
}

pub(crate) fn error_json(error: &perper::Error) -> Json {
    match error.failure() {
        Some(failure) => {
            json!({ "kind": error.reason(), "type": failure.type_name, "message": failure.message })
        }
        None => json!({ "kind": error.reason(), "message": error.message() }),
    }
}
