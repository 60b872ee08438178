//! UUIDs: sixteen bytes.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// A UUID. Equal and ordered by its sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = Error;

    /// Reads the form with four hyphens, in either case.
    fn from_str(text: &str) -> Result<Self> {
        parse(text.as_bytes()).ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::new(
                ErrorKind::Tag,
                format!("'{shown}' is no UUID like 01234567-89ab-cdef-0123-456789abcdef"),
            )
        })
    }
}

fn parse(text: &[u8]) -> Option<Uuid> {
    let mut uuid = [0; 16];
    let mut nibbles = 0;
    for (place, character) in text.iter().enumerate() {
        if matches!(place, 8 | 13 | 18 | 23) {
            if *character != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*character).to_digit(16)? as u8;
        let byte: &mut u8 = uuid.get_mut(nibbles / 2)?;
        *byte = *byte << 4 | digit;
        nibbles += 1;
    }
    (nibbles == 32).then_some(Uuid(uuid))
}
