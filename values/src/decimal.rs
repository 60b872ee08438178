//! Decimal fractions: coefficient · 10^exponent.

use crate::{Error, ErrorKind, Integer, Result};
use std::fmt;
use std::str::FromStr;

/// A coefficient has at most this many bytes, about 2,466 digits: what normalises it takes time that grows with the
/// square.
pub const MAX_COEFFICIENT_BYTES: usize = 1024;

/// A decimal fraction, coefficient · 10^exponent.
///
/// Equal if the values are: 1.0 and 1.00 are one. The number of zeros at the end is kept when it is only passed
/// through. A decimal never equals an integer or a float: it is a type of its own, though keys order all numbers
/// together.
#[derive(Clone)]
pub struct Decimal {
    coefficient: Integer,
    exponent: i32,
}

impl Decimal {
    /// coefficient · 10^exponent. The coefficient has at most [`MAX_COEFFICIENT_BYTES`] bytes.
    pub fn new(coefficient: impl Into<Integer>, exponent: i32) -> Result<Self> {
        let coefficient = coefficient.into();
        if coefficient.magnitude_len() > MAX_COEFFICIENT_BYTES {
            return Err(Error::new(
                ErrorKind::Range,
                format!(
                    "a decimal's coefficient of {} bytes is larger than {MAX_COEFFICIENT_BYTES}",
                    coefficient.magnitude_len()
                ),
            ));
        }
        Ok(Self { coefficient, exponent })
    }

    /// The digits, as an integer.
    pub fn coefficient(&self) -> &Integer {
        &self.coefficient
    }

    /// The power of ten.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// The same value with the shortest coefficient: zeros at the end go to the exponent (as far as it reaches), and
    /// zero has the exponent zero.
    #[must_use]
    pub fn normalised(&self) -> Self {
        if let Some(mut small) = self.coefficient.as_i128() {
            if small == 0 {
                return Self { coefficient: Integer::from(0), exponent: 0 };
            }
            let mut exponent = self.exponent;
            while small % 10 == 0 && exponent < i32::MAX {
                small /= 10;
                exponent += 1;
            }
            return Self { coefficient: Integer::from(small), exponent };
        }
        if !self.coefficient.is_multiple_of_ten() {
            return self.clone();
        }
        let digits = self.coefficient.digits();
        let room = (i64::from(i32::MAX) - i64::from(self.exponent)) as usize;
        let zeros = (digits.len() - digits.trim_end_matches('0').len()).min(room);
        match Integer::from_digits(self.coefficient.is_negative(), &digits[..digits.len() - zeros]) {
            // At most some thousands, see MAX_COEFFICIENT_BYTES.
            Some(coefficient) => Self { coefficient, exponent: self.exponent + zeros as i32 },
            None => self.clone(),
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.normalised(), other.normalised());
        a.coefficient == b.coefficient && a.exponent == b.exponent
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    /// Plain digits with a point where that is short, else with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.coefficient.is_negative() { "-" } else { "" };
        let digits = self.coefficient.digits();
        let places = self.exponent.unsigned_abs() as usize;
        if self.exponent == 0 {
            write!(f, "{sign}{digits}")
        } else if self.exponent > 0 || places > digits.len() + 6 {
            write!(f, "{sign}{digits}E{:+}", self.exponent)
        } else if places < digits.len() {
            let (whole, part) = digits.split_at(digits.len() - places);
            write!(f, "{sign}{whole}.{part}")
        } else {
            write!(f, "{sign}0.{digits:0>places$}")
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = Error;

    /// Reads digits with an optional sign, point and exponent, such as `-1.50` or `12E-3`.
    fn from_str(text: &str) -> Result<Self> {
        parse(text).unwrap_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Err(Error::new(ErrorKind::Tag, format!("'{shown}' is no decimal like -1.50 or 12E-3")))
        })
    }
}

fn parse(text: &str) -> Option<Result<Decimal>> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (number, exponent) = match unsigned.split_once(['E', 'e']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, part].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Before the digits are read, since that takes the square of their number.
    if digits.len() > MAX_COEFFICIENT_BYTES * 5 / 2 {
        let message = format!("a decimal of {} digits is too long", digits.len());
        return Some(Err(Error::new(ErrorKind::Range, message)));
    }
    let exponent = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
    Some(Decimal::new(Integer::from_digits(negative, &digits)?, exponent))
}
