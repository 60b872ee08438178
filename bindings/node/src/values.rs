use napi::bindgen_prelude::{Buffer, Either};
use napi_derive::napi;

/// Why bytes are no value, or a value no key.
#[napi(object)]
pub struct Fault {
    /// The reason, as the golden vectors name it.
    pub reason: String,
    /// The path to the place.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl From<perper_values::Error> for Fault {
    fn from(error: perper_values::Error) -> Self {
        Fault {
            reason: error.kind().code().to_owned(),
            path: error.path(),
            message: error.message().to_owned(),
        }
    }
}

fn bytes(outcome: perper_values::Result<Vec<u8>>) -> Either<Buffer, Fault> {
    match outcome {
        Ok(bytes) => Either::A(bytes.into()),
        Err(error) => Either::B(error.into()),
    }
}

/// What is wrong with bytes as one value; nothing if nothing is.
#[napi(catch_unwind)]
pub fn validate(value: &[u8]) -> Option<Fault> {
    perper_values::validate(value).err().map(Fault::from)
}

/// The canonical form of a value.
#[napi(catch_unwind)]
pub fn canonicalise(value: &[u8]) -> Either<Buffer, Fault> {
    bytes(perper_values::canonicalise(value))
}

/// The bytes of a value as a key.
#[napi(catch_unwind)]
pub fn encode_key(value: &[u8]) -> Either<Buffer, Fault> {
    bytes(perper_values::key_from_encoded(value))
}
