//! The canonical form: two values are equal if, and only if, their canonical bytes are.

use crate::duplicates::{duplicate, head_length};
use crate::reader::MAX_RESERVATION;
use crate::reference::CAPABILITY;
use crate::validate::{check, deeper};
use crate::{Error, Integer, Reader, Result, Token, Value, Writer};
use std::ops::Range;

/// The canonical form of an encoded value, which is checked on the way as [`validate`](crate::validate) does.
///
/// * Heads are the shortest, lengths definite.
/// * A float with an integral value is written as that integer, of whatever size; so −0.0 is 0. All other floats,
///   infinities among them, are written in 64 bits; NaN is `7ff8000000000000`.
/// * Integers are written in major types 0 and 1 where they fit, else as a bignum without leading zeros.
/// * A decimal has no zeros at the end of its coefficient (the exponent takes them, up to 2^31 − 1); zero has the
///   exponent 0. It stays a decimal: 1.0 and 1.00 are equal, yet neither equals the integer 1 or the float 1.0.
/// * A date-time is in UTC with `Z`, without zeros at the end of its fraction.
/// * Maps are sorted by the canonical bytes of their keys, sets by those of their elements.
/// * A reference loses its `capability` option, and its other options are sorted like a map.
/// * Unknown tags stay, their content is canonical.
pub fn canonicalise(input: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(input.len());
    let mut reader = Reader::new(input);
    canonical_item(&mut reader, &mut out, 0)?;
    reader.finish()?;
    Ok(out)
}

/// Whether `input` is a well-formed value in canonical form. Allocates no more than a few bytes.
pub fn is_canonical(input: &[u8]) -> bool {
    let mut reader = Reader::new(input);
    let mut scratch = Vec::new();
    matches!(verify(&mut reader, &mut scratch, 0), Ok(true)) && reader.rest().is_empty()
}

/// Whether two encoded values are equal. Fails if one of them is not well-formed.
pub fn equal(a: &[u8], b: &[u8]) -> Result<bool> {
    Ok(canonicalise(a)? == canonicalise(b)?)
}

/// The canonical bytes of a value; of one that breaks a rule (and so cannot be encoded), its plain bytes.
pub(crate) fn of_value(value: &Value) -> Vec<u8> {
    let plain = crate::encode::write_unchecked(value);
    canonicalise(&plain).unwrap_or(plain)
}

pub(crate) fn canonical_item(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    match reader.token()? {
        Token::Array(length) => {
            let depth = deeper(depth)?;
            Writer::new(out).array(length);
            (0..length).try_for_each(|index| {
                canonical_item(reader, out, depth).map_err(|error| error.at_index(index))
            })
        }
        Token::Map(length) => {
            let depth = deeper(depth)?;
            Writer::new(out).map(length);
            let mut pieces = Pieces::new(length);
            for position in 0..length {
                let (key, start) = (out.len(), reader.position());
                canonical_item(reader, out, depth).map_err(|error| error.at_key(position))?;
                let value = out.len();
                canonical_item(reader, out, depth)
                    .map_err(|error| error.at_map_value(&reader.input()[start..], position))?;
                pieces.push(key..value, out.len());
            }
            let position = pieces.sort(out);
            position.map_or(Ok(()), |(position, key)| Err(duplicate().at_map_value(&out[key..], position)))
        }
        Token::Set(length) => {
            let depth = deeper(depth)?;
            Writer::new(out).set(length);
            let mut pieces = Pieces::new(length);
            for index in 0..length {
                let start = out.len();
                canonical_item(reader, out, depth).map_err(|error| error.at_index(index))?;
                pieces.push(start..out.len(), out.len());
            }
            pieces.sort(out).map_or(Ok(()), |(index, _)| Err(duplicate().at_index(index)))
        }
        Token::Reference { r#type, id, options } => {
            let depth = deeper(deeper(depth)?)?;
            // The count goes down by the capability token, which is known only afterwards; it is small, so copy.
            let mut body = Vec::new();
            let mut pieces = Pieces::new(options);
            let mut capabilities = 0;
            for _ in 0..options {
                let name = reader.option_name()?;
                if name == CAPABILITY {
                    capabilities += 1;
                    check(reader, depth).map_err(|error| error.at_member(name))?;
                    continue;
                }
                let key = body.len();
                Writer::new(&mut body).text(name);
                let value = body.len();
                canonical_item(reader, &mut body, depth).map_err(|error| error.at_member(name))?;
                pieces.push(key..value, body.len());
            }
            if capabilities > 1 {
                return Err(duplicate().at_member(CAPABILITY));
            }
            if let Some((position, key)) = pieces.sort(&mut body) {
                return Err(duplicate().at_map_value(&body[key..], position));
            }
            Writer::new(out).reference(r#type, id, options - capabilities);
            out.extend_from_slice(&body);
            Ok(())
        }
        Token::Tag(tag) => {
            Writer::new(out).tag(tag);
            canonical_item(reader, out, deeper(depth)?)
        }
        scalar => {
            canonical_scalar(scalar, out);
            Ok(())
        }
    }
}

fn canonical_scalar(token: Token<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    match token {
        Token::Bool(value) => writer.bool(value),
        Token::Integer(value) => writer.integer(value),
        Token::BigInteger { negative, magnitude } => {
            writer.tag(2 + u64::from(negative));
            writer.bytes(magnitude);
        }
        Token::Float(value) => match Integer::from_f64(value) {
            Some(integer) => writer.big_integer(&integer),
            None => writer.float(value),
        },
        Token::Text(value) => writer.text(value),
        Token::Bytes(value) => writer.bytes(value),
        Token::DateTime(value) => writer.date_time(&value.to_utc()),
        Token::Uuid(value) => writer.uuid(&value),
        Token::Decimal(value) => writer.decimal(&value.normalised()),
        // Containers are the caller's.
        _ => writer.null(),
    }
}

/// The parts of a map or set in the order they were written, to be put into the order of their keys.
struct Pieces(Vec<Piece>);

#[derive(Clone)]
struct Piece {
    position: usize,
    key: Range<usize>,
    end: usize,
}

impl Pieces {
    fn new(expected: usize) -> Self {
        Self(Vec::with_capacity(expected.min(MAX_RESERVATION)))
    }

    fn push(&mut self, key: Range<usize>, end: usize) {
        self.0.push(Piece { position: self.0.len(), key, end });
    }

    /// Rearranges the pieces, which are the end of `out`. Returns the position of one whose key equals an earlier
    /// one, and where that key stands.
    fn sort(mut self, out: &mut Vec<u8>) -> Option<(usize, usize)> {
        let start = self.0.first()?.key.start;
        let ascending = self.0.windows(2).all(|pair| out[pair[0].key.clone()] < out[pair[1].key.clone()]);
        if ascending {
            return None;
        }
        self.0.sort_by(|a, b| out[a.key.clone()].cmp(&out[b.key.clone()]));
        let duplicate = self
            .0
            .windows(2)
            .filter(|pair| out[pair[0].key.clone()] == out[pair[1].key.clone()])
            .map(|pair| (pair[1].position, pair[1].key.start))
            .min();
        if duplicate.is_none() {
            let mut sorted = Vec::with_capacity(out.len() - start);
            for piece in &self.0 {
                sorted.extend_from_slice(&out[piece.key.start..piece.end]);
            }
            out.truncate(start);
            out.append(&mut sorted);
        }
        duplicate
    }
}

/// Reads one item and says whether it is in canonical form; an error if it is not even well-formed so far.
fn verify(reader: &mut Reader<'_>, scratch: &mut Vec<u8>, depth: usize) -> Result<bool> {
    let start = reader.position();
    let token = reader.token()?;
    let head = reader.position() - start;
    match token {
        Token::Text(text) => Ok(head == head_length(text.len() as u64) + text.len()),
        Token::Bytes(bytes) => Ok(head == head_length(bytes.len() as u64) + bytes.len()),
        Token::Array(length) => {
            let depth = deeper(depth)?;
            let mut canonical = head == head_length(length as u64);
            for _ in 0..length {
                canonical = canonical && verify(reader, scratch, depth)?;
            }
            Ok(canonical)
        }
        Token::Map(length) => {
            let depth = deeper(depth)?;
            Ok(head == head_length(length as u64) && verify_ascending(reader, scratch, depth, length, true)?)
        }
        Token::Set(length) => {
            let depth = deeper(depth)?;
            Ok(head == 3 + head_length(length as u64)
                && verify_ascending(reader, scratch, depth, length, false)?)
        }
        Token::Reference { r#type, id, options } => {
            let depth = deeper(deeper(depth)?)?;
            scratch.clear();
            Writer::new(scratch).reference(r#type, id, options);
            let mut ahead = reader.clone();
            for _ in 0..options {
                if ahead.option_name()? == CAPABILITY {
                    return Ok(false);
                }
                ahead.skip()?;
            }
            Ok(reader.input()[start..start + head] == scratch[..]
                && verify_ascending(reader, scratch, depth, options, true)?)
        }
        Token::Tag(tag) => {
            let depth = deeper(depth)?;
            Ok(head == head_length(tag) && verify(reader, scratch, depth)?)
        }
        scalar => {
            scratch.clear();
            canonical_scalar(scalar, scratch);
            Ok(reader.input()[start..start + head] == scratch[..])
        }
    }
}

/// Keys (or elements) in canonical form that strictly ascend are also distinct.
fn verify_ascending<'a>(
    reader: &mut Reader<'a>,
    scratch: &mut Vec<u8>,
    depth: usize,
    length: usize,
    entries: bool,
) -> Result<bool> {
    let mut previous: &'a [u8] = &[];
    for _ in 0..length {
        let start = reader.position();
        if !verify(reader, scratch, depth)? {
            return Ok(false);
        }
        let key = &reader.input()[start..reader.position()];
        if key <= previous || (entries && !verify(reader, scratch, depth)?) {
            return Ok(false);
        }
        previous = key;
    }
    Ok(true)
}

impl Error {
    /// Says that the error happened inside the value under a key, whose encoding `key` begins with.
    pub(crate) fn at_map_value(self, key: &[u8], position: usize) -> Self {
        match Reader::new(key).token() {
            Ok(Token::Text(name)) => self.at_member(name),
            Ok(Token::Integer(integer)) => self.at_integer_key(integer),
            Ok(Token::Float(float)) => match Integer::from_f64(float).and_then(|integer| integer.as_i128()) {
                Some(integer) => self.at_integer_key(integer),
                None => self.at_entry(position),
            },
            _ => self.at_entry(position),
        }
    }
}
