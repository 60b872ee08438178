//! Reads CBOR one token after another, straight from the bytes.

use crate::integer::small_bignum;
use crate::{DateTime, Decimal, Error, ErrorKind, Integer, Result, Uuid};

/// Nesting deeper than this is refused. Each array, map, set, reference, its options, and unknown tag is one level.
pub const MAX_DEPTH: usize = 128;

/// What a reservation may ask for before any element was seen, so that a length that lies costs nothing.
pub(crate) const MAX_RESERVATION: usize = 256;

/// One step of a [`Reader`]. Scalars are complete; containers say how much follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer that fits in an `i128`.
    Integer(i128),
    /// A larger one: big-endian, without leading zeros; a negative integer is −1 − magnitude.
    BigInteger {
        /// Whether it is below zero.
        negative: bool,
        /// The magnitude.
        magnitude: &'a [u8],
    },
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// That many elements follow.
    Array(usize),
    /// That many pairs of a key and a value follow.
    Map(usize),
    /// An instant with an offset.
    DateTime(DateTime),
    /// A UUID.
    Uuid(Uuid),
    /// A decimal fraction.
    Decimal(Decimal),
    /// That many distinct elements follow.
    Set(usize),
    /// A reference; that many options follow as pairs of a text and a value.
    Reference {
        /// What it refers to.
        r#type: &'a str,
        /// Which one.
        id: &'a str,
        /// How many pairs follow.
        options: usize,
    },
    /// A tag without a meaning here; its content follows.
    Tag(u64),
}

/// Reads tokens from bytes.
///
/// It checks each token by itself. It does not look for equal keys, count levels or check that a text key follows
/// in a reference's options: call [`validate`](crate::validate) first on what comes from outside, then build native
/// objects from the tokens.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    position: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) major: u8,
    pub(crate) information: u8,
    pub(crate) argument: u64,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.position..]
    }

    pub(crate) fn input(&self) -> &'a [u8] {
        self.input
    }

    /// Fails unless everything was read.
    pub fn finish(&self) -> Result<()> {
        match self.rest().len() {
            0 => Ok(()),
            more => {
                let message = format!("{more} bytes follow the value, which ends at byte {}", self.position);
                Err(Error::new(ErrorKind::Trailing, message))
            }
        }
    }

    /// The next token.
    pub fn token(&mut self) -> Result<Token<'a>> {
        let head = self.head()?;
        Ok(match head.major {
            0 => Token::Integer(i128::from(head.argument)),
            1 => Token::Integer(!i128::from(head.argument)),
            2 => Token::Bytes(self.take(head.argument)?),
            3 => Token::Text(self.text(head)?),
            4 => Token::Array(self.elements(head.argument, 1)?),
            5 => Token::Map(self.elements(head.argument, 2)?),
            6 => self.tagged(head.argument)?,
            _ => match head.information {
                20 => Token::Bool(false),
                21 => Token::Bool(true),
                22 => Token::Null,
                25 => Token::Float(half_to_f64(head.argument as u16)),
                26 => Token::Float(f64::from(f32::from_bits(head.argument as u32))),
                27 => Token::Float(f64::from_bits(head.argument)),
                _ => {
                    let message = format!(
                        "the simple value {} has no meaning here, only false, true and null do",
                        head.argument
                    );
                    return Err(Error::new(ErrorKind::Simple, message));
                }
            },
        })
    }

    /// The first byte of the next value; zero at the end, where reading on gives the error.
    pub(crate) fn peek(&self) -> u8 {
        self.input.get(self.position).copied().unwrap_or_default()
    }

    /// Whether a null comes next; takes it if so.
    pub fn take_null(&mut self) -> bool {
        let null = self.peek() == 0xf6;
        self.position += usize::from(null);
        null
    }

    /// Steps over one item with all that is in it, looking only at lengths, and returns its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8]> {
        let start = self.position;
        let mut pending: u64 = 1;
        while pending > 0 {
            pending -= 1;
            let head = self.head()?;
            match head.major {
                2 | 3 => _ = self.take(head.argument)?,
                4 => pending += self.elements(head.argument, 1)? as u64,
                5 => pending += 2 * self.elements(head.argument, 2)? as u64,
                6 => pending += 1,
                _ => {}
            }
        }
        Ok(&self.input[start..self.position])
    }

    #[inline]
    pub(crate) fn head(&mut self) -> Result<Head> {
        let Some(&first) = self.input.get(self.position) else {
            return Err(Error::new(ErrorKind::Truncated, "the input ends where a value should begin"));
        };
        self.position += 1;
        let (major, information) = (first >> 5, first & 0x1f);
        let argument = match information {
            0..=23 => u64::from(information),
            24 => u64::from(self.fixed::<1>()?[0]),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            _ => return Err(no_head(first)),
        };
        if first == 0xf8 && argument < 32 {
            let message = format!("the simple value {argument} is written in two bytes");
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        Ok(Head { major, information, argument })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk::<N>() {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(Error::new(ErrorKind::Truncated, "the input ends within the head of a value")),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let rest = self.rest();
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(bytes) => {
                self.position += bytes.len();
                Ok(bytes)
            }
            None => {
                let message = format!("{length} bytes should follow, {} are there", rest.len());
                Err(Error::new(ErrorKind::Truncated, message))
            }
        }
    }

    #[inline]
    pub(crate) fn text(&mut self, head: Head) -> Result<&'a str> {
        std::str::from_utf8(self.take(head.argument)?).map_err(|error| {
            let message = format!("the text is not UTF-8 at its byte {}", error.valid_up_to());
            Error::new(ErrorKind::Utf8, message)
        })
    }

    /// A count of elements that can at all be there, each in at least `size` bytes.
    fn elements(&self, count: u64, size: u64) -> Result<usize> {
        let rest = self.rest().len() as u64;
        match usize::try_from(count) {
            Ok(elements) if count <= rest / size => Ok(elements),
            _ => {
                let message = format!("{count} elements or entries should follow in {rest} bytes");
                Err(Error::new(ErrorKind::Truncated, message))
            }
        }
    }

    fn tagged(&mut self, tag: u64) -> Result<Token<'a>> {
        match tag {
            0 => {
                let head = self.content(tag, 3, "text")?;
                Ok(Token::DateTime(self.text(head)?.parse()?))
            }
            2 | 3 => {
                let negative = tag == 3;
                let head = self.content(tag, 2, "bytes")?;
                Ok(match small_bignum(negative, self.take(head.argument)?) {
                    Ok(value) => Token::Integer(value),
                    Err(magnitude) => Token::BigInteger { negative, magnitude },
                })
            }
            4 => self.decimal().map(Token::Decimal),
            37 => {
                let head = self.content(tag, 2, "16 bytes")?;
                match self.take(head.argument)?.try_into() {
                    Ok(bytes) => Ok(Token::Uuid(Uuid(bytes))),
                    Err(_) => Err(wrong_content(tag, "16 bytes")),
                }
            }
            258 => {
                let head = self.content(tag, 4, "an array")?;
                Ok(Token::Set(self.elements(head.argument, 1)?))
            }
            27 => self.reference(),
            _ => Ok(Token::Tag(tag)),
        }
    }

    fn decimal(&mut self) -> Result<Decimal> {
        const CONTENT: &str = "an array of an exponent of 32 bits and a coefficient";
        if self.content(4, 4, CONTENT)?.argument != 2 {
            return Err(wrong_content(4, CONTENT));
        }
        let head = self.head()?;
        let exponent = match head.major {
            0 => i128::from(head.argument),
            1 => !i128::from(head.argument),
            _ => return Err(wrong_content(4, CONTENT)),
        };
        let exponent = i32::try_from(exponent).map_err(|_| {
            Error::new(
                ErrorKind::Range,
                format!("a decimal's exponent of {exponent} does not fit in 32 bits"),
            )
        })?;
        match self.token()? {
            Token::Integer(coefficient) => Decimal::new(coefficient, exponent),
            Token::BigInteger { negative, magnitude } => {
                Decimal::new(Integer::from_bignum(negative, magnitude), exponent)
            }
            _ => Err(wrong_content(4, CONTENT)),
        }
    }

    fn reference(&mut self) -> Result<Token<'a>> {
        const CONTENT: &str = "an array of a type, an id and a map of options";
        if self.content(27, 4, CONTENT)?.argument != 3 {
            return Err(wrong_content(27, CONTENT));
        }
        let head = self.content(27, 3, CONTENT)?;
        let r#type = self.text(head)?;
        let head = self.content(27, 3, CONTENT)?;
        let id = self.text(head)?;
        let head = self.content(27, 5, CONTENT)?;
        Ok(Token::Reference { r#type, id, options: self.elements(head.argument, 2)? })
    }

    fn content(&mut self, tag: u64, major: u8, expected: &str) -> Result<Head> {
        let head = self.head()?;
        if head.major == major { Ok(head) } else { Err(wrong_content(tag, expected)) }
    }

    /// The key of an option of a reference.
    pub(crate) fn option_name(&mut self) -> Result<&'a str> {
        let head = self.head()?;
        if head.major == 3 { self.text(head) } else { Err(wrong_content(27, "options with text for keys")) }
    }
}

#[cold]
fn no_head(first: u8) -> Error {
    match first {
        0x5f | 0x7f | 0x9f | 0xbf => {
            Error::new(ErrorKind::Indefinite, "the length is indefinite; write definite lengths")
        }
        _ => Error::new(ErrorKind::Malformed, format!("the byte 0x{first:02x} begins no value")),
    }
}

fn wrong_content(tag: u64, expected: &str) -> Error {
    Error::new(ErrorKind::Tag, format!("the content of tag {tag} must be {expected}"))
}

/// IEEE 754 binary16: a sign, five bits of exponent and ten of mantissa.
fn half_to_f64(bits: u16) -> f64 {
    let mantissa = f64::from(bits & 0x3ff);
    let magnitude = match bits >> 10 & 0x1f {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (mantissa + 1024.0) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}
