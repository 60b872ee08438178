//! Rules of values that a language need not write again: `values/README.md` in functions over encoded values.

use crate::NativeError;

/// Checks that the bytes are one value that any library reads. The error names the reason and the path.
#[uniffi::export]
pub fn validate(value: &[u8]) -> Result<(), NativeError> {
    perper_values::validate(value).map_err(refused)
}

/// The canonical form: two values are equal if the bytes of theirs are.
#[uniffi::export]
pub fn canonicalise(value: &[u8]) -> Result<Vec<u8>, NativeError> {
    perper_values::canonicalise(value).map_err(refused)
}

/// The key that a value makes in a dictionary: bytes in the order of the values.
#[uniffi::export]
pub fn encode_key(value: &[u8]) -> Result<Vec<u8>, NativeError> {
    perper_values::key_from_encoded(value).map_err(refused)
}

fn refused(error: perper_values::Error) -> NativeError {
    let (reason, path) = (error.kind().code(), error.path());
    perper::Error::from(error).with("reason", reason).with("path", path).into()
}
