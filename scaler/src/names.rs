//! Names of what runs: ids of agents and instances are any text, names elsewhere are not.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// A hash of any text, as 16 digits: the same on every machine and in every version.
pub(crate) fn text_hash(text: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    format!("{:016x}", hasher.finish())
}
