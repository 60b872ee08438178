//! Checks bytes from outside without building anything from them.

use crate::duplicates::{Distinct, duplicate};
use crate::{Error, ErrorKind, MAX_DEPTH, Reader, Result, Token};

/// Checks that `input` is exactly one well-formed value: definite lengths, UTF-8, distinct keys (by canonical
/// equality: 1 and 1.0 are the same), sound tags, at most [`MAX_DEPTH`] levels, nothing after it.
///
/// Allocates nothing unless there is a map or set with more than 16 entries, or with keys that are not in canonical
/// form; then in proportion to the keys that are really there.
pub fn validate(input: &[u8]) -> Result<()> {
    let mut reader = Reader::new(input);
    check(&mut reader, 0)?;
    reader.finish()
}

/// As [`validate`], with fewer levels than [`MAX_DEPTH`]; more have no effect.
pub fn validate_within(input: &[u8], levels: usize) -> Result<()> {
    let mut reader = Reader::new(input);
    check(&mut reader, MAX_DEPTH.saturating_sub(levels))?;
    reader.finish()
}

/// Goes one level down.
pub(crate) fn deeper(depth: usize) -> Result<usize> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(Error::new(ErrorKind::Depth, format!("nested deeper than {MAX_DEPTH} levels")))
    }
}

pub(crate) fn check(reader: &mut Reader<'_>, depth: usize) -> Result<()> {
    // Most values are scalars without a tag; for them a whole token costs more than the look at the head.
    let first = reader.peek();
    match first >> 5 {
        0..=2 => {
            let head = reader.head()?;
            return if head.major == 2 { reader.take(head.argument).map(drop) } else { Ok(()) };
        }
        3 => {
            let head = reader.head()?;
            return reader.text(head).map(drop);
        }
        _ => {}
    }
    match reader.token()? {
        Token::Array(length) => {
            let depth = deeper(depth)?;
            (0..length).try_for_each(|index| check(reader, depth).map_err(|error| error.at_index(index)))
        }
        Token::Map(length) => {
            let depth = deeper(depth)?;
            let mut keys = Distinct::new(reader.input(), length);
            // Needed again only if the sorted search at the end finds a duplicate.
            let entries = reader.clone();
            for position in 0..length {
                let start = reader.position();
                keys.read(reader, depth).map_err(|error| match error.kind() {
                    ErrorKind::Duplicate if error.is_here() => {
                        error.at_map_value(&reader.input()[start..], position)
                    }
                    _ => error.at_key(position),
                })?;
                check(reader, depth)
                    .map_err(|error| error.at_map_value(&reader.input()[start..], position))?;
            }
            match keys.duplicate() {
                Some(position) => Err(duplicate_at(entries, position)),
                None => Ok(()),
            }
        }
        Token::Set(length) => {
            let depth = deeper(depth)?;
            let mut elements = Distinct::new(reader.input(), length);
            for index in 0..length {
                elements.read(reader, depth).map_err(|error| error.at_index(index))?;
            }
            elements.duplicate().map_or(Ok(()), |index| Err(duplicate().at_index(index)))
        }
        Token::Reference { options, .. } => {
            let depth = deeper(deeper(depth)?)?;
            let mut names = Distinct::new(reader.input(), options);
            let entries = reader.clone();
            for _ in 0..options {
                let name = reader.clone().option_name()?;
                names.read(reader, depth).map_err(|error| error.at_member(name))?;
                check(reader, depth).map_err(|error| error.at_member(name))?;
            }
            names.duplicate().map_or(Ok(()), |position| Err(duplicate_at(entries, position)))
        }
        Token::Tag(_) => check(reader, deeper(depth)?),
        _ => Ok(()),
    }
}

/// The error for the entry at `position` of the map whose entries begin at `entries`.
fn duplicate_at(mut entries: Reader<'_>, position: usize) -> Error {
    for _ in 0..2 * position {
        // They were checked already.
        if entries.skip().is_err() {
            break;
        }
    }
    duplicate().at_map_value(entries.rest(), position)
}
