use std::collections::HashMap;

/// Why something failed. One variant, since variants are told apart by position where they cross: a new kind of error is
/// a new code, and an older language layer still reads it.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum NativeError {
    /// The only one.
    #[error("{text} ({reason})")]
    Failed {
        /// The stable number of the kind of error.
        code: u16,
        /// The stable name of the kind, as the protocol spells it.
        reason: String,
        /// What was wrong, with which value, and what to do. (Languages have a `message` of their own on errors.)
        text: String,
        /// The values that the text speaks of, by name.
        details: HashMap<String, String>,
        /// What a handler raised, if this is that.
        failure: Option<FailureDetails>,
    },
}

/// An error that a handler raised, in whatever language it was written.
#[derive(Debug, Clone, uniffi::Record)]
pub struct FailureDetails {
    /// The error's type, as its language names it.
    pub type_name: String,
    /// What it says.
    pub message: String,
    /// Where it was raised.
    pub stack_trace: String,
}

impl From<perper::Error> for NativeError {
    fn from(error: perper::Error) -> Self {
        NativeError::Failed {
            code: error.code(),
            reason: error.reason().to_owned(),
            text: error.message().to_owned(),
            details: error.metadata().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            failure: error.failure().map(|failure| FailureDetails {
                type_name: failure.type_name.clone(),
                message: failure.message.clone(),
                stack_trace: failure.stack_trace.clone(),
            }),
        }
    }
}
