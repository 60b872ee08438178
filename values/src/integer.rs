//! Integers of any size: plain arithmetic up to `i128`, bytes beyond.

use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::cmp::Ordering;
use std::fmt;

/// Beyond this many bytes an integer is shown in hexadecimal: decimal digits cost time that grows with the square.
const LONGEST_SHOWN: usize = 1024;

/// An integer of any size.
///
/// Up to `i128` it is an ordinary number; what is larger is carried as bytes, so that it passes through unharmed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Integer(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small(i128),
    /// In CBOR's terms: the magnitude itself, or −1 − magnitude. Without leading zeros, and never what fits in
    /// `Small`, so that the derived equality is the numeric one.
    Big {
        negative: bool,
        magnitude: Bytes,
    },
}

/// How an [`Integer`] is carried; for encoders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerParts<'a> {
    /// It fits in an `i128`.
    Small(i128),
    /// It does not: big-endian, without leading zeros; a negative integer is −1 − magnitude, as in CBOR.
    Big {
        /// Whether it is below zero.
        negative: bool,
        /// The magnitude.
        magnitude: &'a [u8],
    },
}

impl Integer {
    /// From the content of CBOR's tags 2 (`negative` false) and 3: a big-endian magnitude, where a negative integer is
    /// −1 − magnitude. Leading zeros are dropped.
    pub fn from_bignum(negative: bool, magnitude: &[u8]) -> Self {
        match small_bignum(negative, magnitude) {
            Ok(value) => Self(Repr::Small(value)),
            Err(magnitude) => Self(Repr::Big { negative, magnitude: Bytes::copy_from_slice(magnitude) }),
        }
    }

    /// The integer with the value of `float`, if that is one.
    pub fn from_f64(float: f64) -> Option<Self> {
        if !float.is_finite() || float.fract() != 0.0 {
            return None;
        }
        if float.abs() < 2f64.powi(127) {
            return Some(Self(Repr::Small(float as i128)));
        }
        let bits = float.to_bits();
        let mantissa = u128::from(bits & ((1 << 52) - 1) | (1 << 52));
        // At least 2^127, so the exponent of the integral mantissa is positive.
        let shift = ((bits >> 52) & 0x7ff) as usize - 1075;
        let mut magnitude = (mantissa << (shift % 8)).to_be_bytes().to_vec();
        magnitude.resize(magnitude.len() + shift / 8, 0);
        let negative = float < 0.0;
        if negative {
            decrement(&mut magnitude);
        }
        Some(Self::from_bignum(negative, &magnitude))
    }

    /// The nearest float, halves to even; `None` beyond the range of floats.
    pub fn to_f64(&self) -> Option<f64> {
        match &self.0 {
            Repr::Small(value) => Some(*value as f64),
            Repr::Big { negative, magnitude } => {
                // The leading 16 bytes decide; what follows matters only as "not exactly half". For a negative
                // integer the magnitude is one too small, which "or 1" also makes good unless all bits are ones,
                // where rounding goes up anyway.
                let (head, tail) = magnitude.split_at(magnitude.len().min(16));
                if tail.len() > 112 {
                    return None;
                }
                let mut leading = head.iter().fold(0u128, |value, byte| (value << 8) | u128::from(*byte));
                let borrowed = *negative && tail.iter().all(|byte| *byte == 0xff);
                if borrowed {
                    match leading.checked_add(1) {
                        Some(next) => leading = next,
                        None => leading |= 1,
                    }
                } else if *negative || tail.iter().any(|byte| *byte != 0) {
                    leading |= 1;
                }
                let float = leading as f64 * 2f64.powi(8 * tail.len() as i32);
                float.is_finite().then_some(if *negative { -float } else { float })
            }
        }
    }

    /// How it is carried.
    pub fn parts(&self) -> IntegerParts<'_> {
        match &self.0 {
            Repr::Small(value) => IntegerParts::Small(*value),
            Repr::Big { negative, magnitude } => IntegerParts::Big { negative: *negative, magnitude },
        }
    }

    /// As an `i128`, if it fits.
    pub fn as_i128(&self) -> Option<i128> {
        match self.0 {
            Repr::Small(value) => Some(value),
            Repr::Big { .. } => None,
        }
    }

    /// As a `u128`, if it fits.
    pub fn as_u128(&self) -> Option<u128> {
        match &self.0 {
            Repr::Small(value) => u128::try_from(*value).ok(),
            Repr::Big { negative: false, magnitude } if magnitude.len() <= 16 => {
                Some(magnitude.iter().fold(0, |value, byte| (value << 8) | u128::from(*byte)))
            }
            Repr::Big { .. } => None,
        }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        match self.0 {
            Repr::Small(value) => value < 0,
            Repr::Big { negative, .. } => negative,
        }
    }

    /// How many bytes the magnitude takes.
    pub(crate) fn magnitude_len(&self) -> usize {
        match &self.0 {
            Repr::Small(value) => (128 - value.unsigned_abs().leading_zeros() as usize).div_ceil(8),
            Repr::Big { magnitude, .. } => magnitude.len(),
        }
    }

    /// Whether its last decimal digit is zero, in time that only grows with the size.
    pub(crate) fn is_multiple_of_ten(&self) -> bool {
        match &self.0 {
            Repr::Small(value) => value % 10 == 0,
            Repr::Big { negative, magnitude } => {
                let remainder = magnitude.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 10);
                (remainder + u32::from(*negative)) % 10 == 0
            }
        }
    }

    /// The decimal digits of the absolute value, in ASCII. Costs the square of the size.
    pub(crate) fn digits(&self) -> String {
        match &self.0 {
            Repr::Small(value) => value.unsigned_abs().to_string(),
            Repr::Big { negative, magnitude } => decimal_digits(magnitude, *negative),
        }
    }

    /// From a sign and decimal digits in ASCII. Costs the square of the size.
    pub(crate) fn from_digits(negative: bool, digits: &str) -> Option<Self> {
        if let Ok(value) = digits.parse::<i128>() {
            return Some(Self(Repr::Small(if negative { -value } else { value })));
        }
        // Least significant word first.
        let mut words: Vec<u32> = Vec::new();
        for chunk in digits.as_bytes().chunks(9) {
            let chunk = std::str::from_utf8(chunk).ok()?;
            let mut carry = u64::from(chunk.parse::<u32>().ok()?);
            let factor = 10u64.pow(chunk.len() as u32);
            for word in &mut words {
                let product = u64::from(*word) * factor + carry;
                *word = product as u32;
                carry = product >> 32;
            }
            if carry != 0 {
                words.push(carry as u32);
            }
        }
        let mut magnitude: Vec<u8> = words.iter().rev().flat_map(|word| word.to_be_bytes()).collect();
        if negative {
            decrement(&mut magnitude);
        }
        Some(Self::from_bignum(negative, &magnitude))
    }
}

/// The value of a bignum if it fits in an `i128`, else its magnitude without leading zeros.
pub(crate) fn small_bignum(negative: bool, magnitude: &[u8]) -> Result<i128, &[u8]> {
    let start = magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len());
    let magnitude = &magnitude[start..];
    if magnitude.len() > 16 {
        return Err(magnitude);
    }
    let value = magnitude.iter().fold(0u128, |value, byte| (value << 8) | u128::from(*byte));
    match i128::try_from(value) {
        // −1 − value is the complement, which is why CBOR counts so.
        Ok(value) => Ok(if negative { !value } else { value }),
        Err(_) => Err(magnitude),
    }
}

/// Subtracts one from a big-endian magnitude above zero.
fn decrement(magnitude: &mut [u8]) {
    for byte in magnitude.iter_mut().rev() {
        let (difference, borrow) = byte.overflowing_sub(1);
        *byte = difference;
        if !borrow {
            return;
        }
    }
}

fn decimal_digits(magnitude: &[u8], plus_one: bool) -> String {
    // Base 10^9, least significant first.
    let mut words: Vec<u32> = Vec::new();
    let absorb = |words: &mut Vec<u32>, factor: u64, mut carry: u64| {
        for word in words.iter_mut() {
            let product = u64::from(*word) * factor + carry;
            *word = (product % 1_000_000_000) as u32;
            carry = product / 1_000_000_000;
        }
        while carry != 0 {
            words.push((carry % 1_000_000_000) as u32);
            carry /= 1_000_000_000;
        }
    };
    for chunk in magnitude.chunks(4) {
        let value = chunk.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
        absorb(&mut words, 1 << (8 * chunk.len()), value);
    }
    if plus_one {
        absorb(&mut words, 1, 1);
    }
    let mut digits = words.last().map_or_else(|| "0".to_owned(), u32::to_string);
    for word in words.iter().rev().skip(1) {
        digits.push_str(&format!("{word:09}"));
    }
    digits
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Small(a), Repr::Small(b)) => a.cmp(b),
            (Repr::Small(_), Repr::Big { negative, .. }) => {
                if *negative {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Repr::Big { .. }, Repr::Small(_)) => other.cmp(self).reverse(),
            (Repr::Big { negative: a, magnitude: x }, Repr::Big { negative: b, magnitude: y }) => {
                let by_magnitude = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
                match (a, b) {
                    (false, false) => by_magnitude,
                    (true, true) => by_magnitude.reverse(),
                    (true, false) => Ordering::Less,
                    (false, true) => Ordering::Greater,
                }
            }
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Small(value) => value.fmt(f),
            Repr::Big { magnitude, .. } if magnitude.len() <= LONGEST_SHOWN => {
                f.pad_integral(!self.is_negative(), "", &self.digits())
            }
            Repr::Big { negative, magnitude } => {
                f.write_str(if *negative { "-1-0x" } else { "0x" })?;
                magnitude.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u128> for Integer {
    fn from(value: u128) -> Self {
        match i128::try_from(value) {
            Ok(value) => Self(Repr::Small(value)),
            Err(_) => Self::from_bignum(false, &value.to_be_bytes()),
        }
    }
}

impl TryFrom<&Integer> for u128 {
    type Error = Error;

    fn try_from(value: &Integer) -> Result<Self> {
        value.as_u128().ok_or_else(|| out_of_range(value, "u128"))
    }
}

fn out_of_range(value: &Integer, target: &str) -> Error {
    Error::new(ErrorKind::Range, format!("the integer {value} does not fit in {target}"))
}

macro_rules! convert {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Integer {
            fn from(value: $integer) -> Self {
                Self(Repr::Small(value as i128))
            }
        }

        impl TryFrom<&Integer> for $integer {
            type Error = Error;

            fn try_from(value: &Integer) -> Result<Self> {
                value
                    .as_i128()
                    .and_then(|small| Self::try_from(small).ok())
                    .ok_or_else(|| out_of_range(value, stringify!($integer)))
            }
        }
    )*};
}

convert!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 usize);
