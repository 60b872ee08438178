//! The canonical form: two values are equal if, and only if, their canonical bytes are.

use crate::duplicates::{duplicate, head_length};
use crate::reader::MAX_RESERVATION;
use crate::reference::CAPABILITY;
use crate::validate::{check, deeper};
use crate::{Error, ErrorKind, Integer, Reader, Result, Token, Value, Writer};

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
            let mut pieces = Pieces::new(length, out);
            for position in 0..length {
                let start = reader.position();
                canonical_item(reader, out, depth).map_err(|error| error.at_key(position))?;
                let value = out.len();
                canonical_item(reader, out, depth)
                    .map_err(|error| error.at_map_value(&reader.input()[start..], position))?;
                pieces.push(value, out.len())?;
            }
            let position = pieces.sort(out);
            position.map_or(Ok(()), |(position, key)| Err(duplicate().at_map_value(&out[key..], position)))
        }
        Token::Set(length) => {
            let depth = deeper(depth)?;
            Writer::new(out).set(length);
            let mut pieces = Pieces::new(length, out);
            for index in 0..length {
                canonical_item(reader, out, depth).map_err(|error| error.at_index(index))?;
                pieces.push(out.len(), out.len())?;
            }
            pieces.sort(out).map_or(Ok(()), |(index, _)| Err(duplicate().at_index(index)))
        }
        Token::Reference { r#type, id, options } => {
            let depth = deeper(deeper(depth)?)?;
            // The count goes down by the capability token, which is known only afterwards; it is small, so copy.
            let mut body = Vec::new();
            let mut pieces = Pieces::new(options, &body);
            let mut capabilities = 0;
            for _ in 0..options {
                let name = reader.option_name()?;
                if name == CAPABILITY {
                    capabilities += 1;
                    check(reader, depth).map_err(|error| error.at_member(name))?;
                    continue;
                }
                Writer::new(&mut body).text(name);
                let value = body.len();
                canonical_item(reader, &mut body, depth).map_err(|error| error.at_member(name))?;
                pieces.push(value, body.len())?;
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
struct Pieces {
    /// Where in the output the first one begins.
    base: usize,
    pieces: Vec<Piece>,
}

/// Sixteen bytes, since hostile input may have millions. Places are counted from the base.
#[derive(Clone, Copy)]
struct Piece {
    position: u32,
    key: u32,
    value: u32,
    end: u32,
}

impl Pieces {
    fn new(expected: usize, out: &[u8]) -> Self {
        Self { base: out.len(), pieces: Vec::with_capacity(expected.min(MAX_RESERVATION)) }
    }

    /// The next part: its key begins where the last part ended, its value (if any) at `value`, and it ends at `end`.
    fn push(&mut self, value: usize, end: usize) -> Result<()> {
        let place = |place: usize| {
            u32::try_from(place - self.base)
                .map_err(|_| Error::new(ErrorKind::Range, "maps and sets beyond 4 GiB are not supported"))
        };
        let key = self.pieces.last().map_or(0, |last| last.end);
        let position = self.pieces.len() as u32;
        self.pieces.push(Piece { position, key, value: place(value)?, end: place(end)? });
        Ok(())
    }

    fn key<'a>(&self, piece: Piece, out: &'a [u8]) -> &'a [u8] {
        &out[self.base..][piece.key as usize..piece.value as usize]
    }

    /// Rearranges the pieces, which are the end of `out`. Returns the position of one whose key equals an earlier
    /// one, and where that key stands.
    fn sort(mut self, out: &mut Vec<u8>) -> Option<(usize, usize)> {
        let ascending = self.pieces.windows(2).all(|pair| self.key(pair[0], out) < self.key(pair[1], out));
        if ascending {
            return None;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_unstable_by(|a, b| {
            self.key(*a, out).cmp(self.key(*b, out)).then(a.position.cmp(&b.position))
        });
        let duplicate = pieces
            .windows(2)
            .filter(|pair| self.key(pair[0], out) == self.key(pair[1], out))
            .map(|pair| (pair[1].position as usize, self.base + pair[1].key as usize))
            .min();
        if duplicate.is_none() {
            let unsorted = out.split_off(self.base);
            for piece in &pieces {
                out.extend_from_slice(&unsorted[piece.key as usize..piece.end as usize]);
            }
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
            Ok(head == head_length(length as u64)
                && verify_ascending(reader, scratch, depth, length, Parts::Entries)?)
        }
        Token::Set(length) => {
            let depth = deeper(depth)?;
            Ok(head == 3 + head_length(length as u64)
                && verify_ascending(reader, scratch, depth, length, Parts::Elements)?)
        }
        Token::Reference { r#type, id, options } => {
            let depth = deeper(deeper(depth)?)?;
            scratch.clear();
            Writer::new(scratch).reference(r#type, id, options);
            Ok(reader.input()[start..start + head] == scratch[..]
                && verify_ascending(reader, scratch, depth, options, Parts::Options)?)
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

#[derive(Clone, Copy, PartialEq)]
enum Parts {
    Elements,
    Entries,
    /// Entries of a reference, none of them the capability token.
    Options,
}

/// Keys (or elements) in canonical form that strictly ascend are also distinct.
fn verify_ascending<'a>(
    reader: &mut Reader<'a>,
    scratch: &mut Vec<u8>,
    depth: usize,
    length: usize,
    parts: Parts,
) -> Result<bool> {
    let mut previous: &'a [u8] = &[];
    for _ in 0..length {
        let start = reader.position();
        if parts == Parts::Options && reader.clone().option_name()? == CAPABILITY {
            return Ok(false);
        }
        if !verify(reader, scratch, depth)? {
            return Ok(false);
        }
        let key = &reader.input()[start..reader.position()];
        if key <= previous || (parts != Parts::Elements && !verify(reader, scratch, depth)?) {
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
