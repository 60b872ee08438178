//! Numbers in keys: every finite number is ±0.d₁d₂… · 10^e with a finite row of decimal digits and d₁ ≠ 0, be it an
//! integer, a float or a decimal; so all of them fall into one order.

use super::layout::{END, NUMBER};
use crate::{Decimal, Error, ErrorKind, Integer, MAX_COEFFICIENT_BYTES, Result, Value};

const NEGATIVE_INFINITY: u8 = 0x01;
const NEGATIVE: u8 = 0x02;
const ZERO: u8 = 0x03;
const POSITIVE: u8 = 0x04;
const INFINITY: u8 = 0x05;
const NAN: u8 = 0x06;

/// The last byte: which type the number has. It decides only between equal values.
const PLAIN: u8 = 0x00;
const DECIMAL: u8 = 0x01;

/// Exponents from −64 to 63 stand in the one byte 0x80 + e; these announce eight bytes for those below and above.
const FAR_BELOW: u8 = 0x3f;
const FAR_ABOVE: u8 = 0xc0;

/// No integer of a key has more digits.
const MOST_DIGITS: usize = MAX_COEFFICIENT_BYTES * 5 / 2;

pub(super) fn encode_integer(integer: &Integer, out: &mut Vec<u8>) -> Result<()> {
    let size = integer.magnitude_len();
    if size > MAX_COEFFICIENT_BYTES {
        let message =
            format!("an integer of {size} bytes is too large for a key, {MAX_COEFFICIENT_BYTES} is the most");
        return Err(Error::new(ErrorKind::Range, message));
    }
    let digits = integer.digits();
    finite(integer.is_negative(), &digits, digits.len() as i64, PLAIN, out);
    Ok(())
}

pub(super) fn encode_float(float: f64, out: &mut Vec<u8>) -> Result<()> {
    if let Some(integer) = Integer::from_f64(float) {
        return encode_integer(&integer, out);
    }
    if !float.is_finite() {
        let class = match float {
            f64::INFINITY => INFINITY,
            f64::NEG_INFINITY => NEGATIVE_INFINITY,
            _ => NAN,
        };
        out.extend_from_slice(&[NUMBER, class, PLAIN]);
        return Ok(());
    }
    // A float with n binary places has exactly n decimal places; asked for that many, formatting is exact.
    let text = format!("{:.*}", binary_places(float), float.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = [whole, part].concat();
    finite(float < 0.0, &digits, whole.len() as i64, PLAIN, out);
    Ok(())
}

pub(super) fn encode_decimal(decimal: &Decimal, out: &mut Vec<u8>) {
    let digits = decimal.coefficient().digits();
    let exponent = i64::from(decimal.exponent()) + digits.len() as i64;
    finite(decimal.coefficient().is_negative(), &digits, exponent, DECIMAL, out);
}

fn binary_places(float: f64) -> usize {
    let bits = float.to_bits();
    let (mantissa, exponent) = match (bits >> 52) & 0x7ff {
        0 => (bits & ((1 << 52) - 1), -1074),
        biased => (bits & ((1 << 52) - 1) | (1 << 52), biased as i32 - 1075),
    };
    (-(exponent + mantissa.trailing_zeros() as i32)).max(0) as usize
}

/// Writes ±0.`digits` · 10^`exponent`; zeros at either end of the digits are fine.
fn finite(negative: bool, digits: &str, exponent: i64, kind: u8, out: &mut Vec<u8>) {
    let significant = digits.trim_start_matches('0');
    let exponent = exponent - (digits.len() - significant.len()) as i64;
    let significant = significant.trim_end_matches('0');
    out.push(NUMBER);
    if significant.is_empty() {
        out.extend_from_slice(&[ZERO, kind]);
        return;
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let start = out.len();
    match exponent {
        -64..=63 => out.push((0x80 + exponent) as u8),
        _ => {
            out.push(if exponent < 0 { FAR_BELOW } else { FAR_ABOVE });
            // With the sign bit turned over, negative ones sort first.
            out.extend_from_slice(&(exponent as u64 ^ (1 << 63)).to_be_bytes());
        }
    }
    for pair in significant.as_bytes().chunks(2) {
        let tens = pair[0] - b'0';
        let ones = pair.get(1).map_or(0, |digit| digit - b'0');
        // 1 to 100, so that the end is less than any.
        out.push(tens * 10 + ones + 1);
    }
    out.push(END);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.push(kind);
}

/// Reads what follows the first byte. Returns the value and how many bytes it took. Whether each part is in its only
/// allowed form is left to the caller, who encodes the value again.
pub(super) fn decode(input: &[u8]) -> Option<(Value, usize)> {
    let (&class, rest) = input.split_first()?;
    let negative = match class {
        NEGATIVE => true,
        POSITIVE => false,
        _ => {
            let value = match (class, *rest.first()?) {
                (NEGATIVE_INFINITY, PLAIN) => Value::Float(f64::NEG_INFINITY),
                (INFINITY, PLAIN) => Value::Float(f64::INFINITY),
                (NAN, PLAIN) => Value::Float(f64::NAN),
                (ZERO, PLAIN) => Value::Integer(0.into()),
                (ZERO, DECIMAL) => Value::Decimal(Decimal::new(0, 0).ok()?),
                _ => return None,
            };
            return Some((value, 2));
        }
    };
    let flip = |byte: u8| if negative { !byte } else { byte };
    let (exponent, head) = match flip(*rest.first()?) {
        FAR_BELOW | FAR_ABOVE => {
            let mut bytes: [u8; 8] = rest.get(1..9)?.try_into().ok()?;
            bytes.iter_mut().for_each(|byte| *byte = flip(*byte));
            ((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64, 9)
        }
        near @ 0x40..=0xbf => (i64::from(near) - 0x80, 1),
        _ => return None,
    };
    let pairs = rest[head..].iter().position(|byte| flip(*byte) == END)?;
    let mut digits = String::new();
    for byte in &rest[head..head + pairs] {
        let pair = flip(*byte) - 1;
        if pair > 99 || digits.len() > MOST_DIGITS {
            return None;
        }
        digits.push(char::from(b'0' + pair / 10));
        digits.push(char::from(b'0' + pair % 10));
    }
    let significant = digits.trim_end_matches('0');
    let end = head + pairs + 1;
    let value = match *rest.get(end)? {
        DECIMAL => {
            let exponent = exponent.checked_sub(significant.len() as i64)?;
            // The normal form leaves zeros in the coefficient only where the exponent cannot take them.
            let zeros = usize::try_from(exponent.saturating_sub(i32::MAX.into())).unwrap_or(0);
            if zeros > MOST_DIGITS {
                return None;
            }
            let coefficient = Integer::from_digits(negative, &format!("{significant}{:0<zeros$}", ""))?;
            Value::Decimal(Decimal::new(coefficient, i32::try_from(exponent - zeros as i64).ok()?).ok()?)
        }
        PLAIN if exponent >= significant.len() as i64 => {
            let length = usize::try_from(exponent).ok().filter(|length| *length <= MOST_DIGITS)?;
            Value::Integer(Integer::from_digits(negative, &format!("{significant:0<length$}"))?)
        }
        PLAIN => {
            let sign = if negative { "-" } else { "" };
            Value::Float(format!("{sign}0.{significant}e{exponent}").parse().ok()?)
        }
        _ => return None,
    };
    Some((value, 1 + end + 1))
}
