//! `rust_decimal::Decimal`, which holds 96 bits and at most 28 decimal places.

use crate::{Decimal, Error, ErrorKind};

impl TryFrom<rust_decimal::Decimal> for Decimal {
    type Error = Error;

    fn try_from(value: rust_decimal::Decimal) -> Result<Self, Error> {
        // At most 28 places, so this is no cut.
        Self::new(value.mantissa(), -(value.scale() as i32))
    }
}

impl TryFrom<Decimal> for rust_decimal::Decimal {
    type Error = Error;

    fn try_from(value: Decimal) -> Result<Self, Error> {
        // As written first, to keep its zeros; then in the shortest form, which may fit where the other did not.
        exactly(&value).or_else(|| exactly(&value.normalised())).ok_or_else(|| {
            Error::new(ErrorKind::Range, "the decimal does not fit in 96 bits with at most 28 decimal places")
        })
    }
}

fn exactly(value: &Decimal) -> Option<rust_decimal::Decimal> {
    let coefficient = value.coefficient().as_i128()?;
    let (coefficient, places) = match u32::try_from(value.exponent()) {
        Ok(zeros) => (coefficient.checked_mul(10i128.checked_pow(zeros)?)?, 0),
        Err(_) => (coefficient, value.exponent().unsigned_abs()),
    };
    rust_decimal::Decimal::try_from_i128_with_scale(coefficient, places).ok()
}
