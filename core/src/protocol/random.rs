use crate::{Error, ErrorKind, Result};

fn unavailable(error: getrandom::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("the system gives no random bytes: {error}"))
}

/// 16 random bytes.
pub(crate) fn bytes_128() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    Ok(bytes)
}

/// 128 random bits in hexadecimal.
pub(crate) fn hex_128() -> Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(bytes_128()?)))
}

/// For jitter, where a poor number is better than none.
pub(crate) fn jitter() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX / 2)
}
