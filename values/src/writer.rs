//! Writes CBOR one token after another, each in its shortest form.

use crate::{DateTime, Decimal, Integer, IntegerParts, Uuid};

/// Appends CBOR to a buffer. The caller keeps its promises: as many elements as a container announced, distinct keys.
///
/// ```
/// let mut bytes = Vec::new();
/// let mut writer = perper_values::Writer::new(&mut bytes);
/// writer.map(1);
/// writer.text("answer");
/// writer.integer(42);
/// assert!(perper_values::validate(&bytes).is_ok());
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Nothing.
    pub fn null(&mut self) {
        self.out.push(0xf6);
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.out.push(0xf4 + u8::from(value));
    }

    /// An integer that fits in an `i128`.
    pub fn integer(&mut self, value: impl Into<i128>) {
        let value = value.into();
        let negative = value < 0;
        // −1 − value for a negative one.
        let magnitude = (if negative { !value } else { value }) as u128;
        match u64::try_from(magnitude) {
            Ok(argument) => self.head(u8::from(negative), argument),
            Err(_) => {
                self.bignum(negative, &magnitude.to_be_bytes()[magnitude.leading_zeros() as usize / 8..])
            }
        }
    }

    /// An integer of any size.
    pub fn big_integer(&mut self, value: &Integer) {
        match value.parts() {
            IntegerParts::Small(small) => self.integer(small),
            IntegerParts::Big { negative, magnitude } => self.bignum(negative, magnitude),
        }
    }

    fn bignum(&mut self, negative: bool, magnitude: &[u8]) {
        self.head(6, 2 + u64::from(negative));
        self.bytes(magnitude);
    }

    /// A floating-point number, always in 64 bits. NaN is written in one way only.
    pub fn float(&mut self, value: f64) {
        let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
        self.out.push(0xfb);
        self.out.extend_from_slice(&bits.to_be_bytes());
    }

    /// Text.
    pub fn text(&mut self, value: &str) {
        self.head(3, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(2, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// An array; write that many elements next.
    pub fn array(&mut self, length: usize) {
        self.head(4, length as u64);
    }

    /// A map; write that many pairs of a key and a value next.
    pub fn map(&mut self, length: usize) {
        self.head(5, length as u64);
    }

    /// An instant with an offset.
    pub fn date_time(&mut self, value: &DateTime) {
        self.head(6, 0);
        self.text(value.format().as_str());
    }

    /// A UUID.
    pub fn uuid(&mut self, value: &Uuid) {
        self.head(6, 37);
        self.bytes(&value.0);
    }

    /// A decimal fraction, with its zeros.
    pub fn decimal(&mut self, value: &Decimal) {
        self.head(6, 4);
        self.array(2);
        self.integer(value.exponent());
        self.big_integer(value.coefficient());
    }

    /// A set; write that many distinct elements next.
    pub fn set(&mut self, length: usize) {
        self.head(6, 258);
        self.array(length);
    }

    /// A reference; write that many options next, as pairs of a text and a value.
    pub fn reference(&mut self, r#type: &str, id: &str, options: usize) {
        self.head(6, 27);
        self.array(3);
        self.text(r#type);
        self.text(id);
        self.map(options);
    }

    /// A tag without a meaning here; write its content next.
    pub fn tag(&mut self, tag: u64) {
        self.head(6, tag);
    }

    /// One item that is encoded already.
    pub fn encoded(&mut self, item: &[u8]) {
        self.out.extend_from_slice(item);
    }

    pub(crate) fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        match argument {
            0..=23 => self.out.push(major | argument as u8),
            24..=0xff => self.out.extend_from_slice(&[major | 24, argument as u8]),
            0x100..=0xffff => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&(argument as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&(argument as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&argument.to_be_bytes());
            }
        }
    }
}
