//! Finds equal keys of a map, or equal elements of a set, by their canonical forms.

use crate::canonical::canonical_item;
use crate::{Error, ErrorKind, Reader, Result};

/// Up to this many keys are compared each with each, on the stack; that covers what structs and objects look like.
const FEW: usize = 16;

/// The canonical forms of the keys seen so far. Most keys stand in the input in canonical form already; only the
/// others are copied, to `arena`.
pub(crate) struct Distinct<'a> {
    input: &'a [u8],
    arena: Vec<u8>,
    few: [Range; FEW],
    many: Vec<Range>,
    count: usize,
    expected: usize,
    /// Whether every key so far was greater than the one before, which makes sorting needless.
    ascending: bool,
}

/// Eight bytes each, since a hostile map may have millions. Starts past the input's length lie in the arena.
#[derive(Clone, Copy, Default)]
struct Range {
    start: u32,
    length: u32,
}

impl<'a> Distinct<'a> {
    pub(crate) fn new(input: &'a [u8], expected: usize) -> Self {
        Self {
            input,
            arena: Vec::new(),
            few: [Range::default(); FEW],
            many: Vec::new(),
            count: 0,
            expected,
            ascending: true,
        }
    }

    /// Reads and checks the next key, and remembers it.
    pub(crate) fn read(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<()> {
        // A single one cannot have an equal.
        if self.expected < 2 {
            return crate::validate::check(reader, depth);
        }
        let (start, mut ahead) = (reader.position(), reader.clone());
        let plain = plain(&mut ahead)?;
        let key = if plain {
            *reader = ahead;
            self.range(start, reader.position() - start)?
        } else {
            self.canonical(reader, depth)?
        };
        self.remember(key)
    }

    fn canonical(&mut self, reader: &mut Reader<'a>, depth: usize) -> Result<Range> {
        let start = self.arena.len();
        canonical_item(reader, &mut self.arena, depth)?;
        self.range(self.input.len() + start, self.arena.len() - start)
    }

    fn range(&self, start: usize, length: usize) -> Result<Range> {
        match (u32::try_from(start), u32::try_from(start + length)) {
            (Ok(first), Ok(_)) => Ok(Range { start: first, length: length as u32 }),
            _ => Err(Error::new(ErrorKind::Range, "maps and sets beyond 4 GiB are not supported")),
        }
    }

    fn remember(&mut self, key: Range) -> Result<()> {
        let count = self.count;
        self.count += 1;
        if self.expected <= FEW {
            let bytes = self.bytes(key);
            let mut earlier = self.few[..count].iter().filter(|earlier| earlier.length == key.length);
            if earlier.any(|earlier| self.bytes(*earlier) == bytes) {
                return Err(duplicate());
            }
            self.few[count] = key;
            return Ok(());
        }
        if self.ascending && count > 0 {
            match self.bytes(self.many[count - 1]).cmp(self.bytes(key)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(duplicate()),
                std::cmp::Ordering::Greater => self.ascending = false,
            }
        }
        self.many.push(key);
        Ok(())
    }

    /// After the last key: the position of one that equals an earlier one.
    pub(crate) fn duplicate(&self) -> Option<usize> {
        if self.ascending || self.expected <= FEW {
            return None;
        }
        let mut order: Vec<u32> = (0..self.many.len() as u32).collect();
        let key = |position: u32| self.bytes(self.many[position as usize]);
        order.sort_unstable_by(|a, b| key(*a).cmp(key(*b)).then(a.cmp(b)));
        order.windows(2).filter(|pair| key(pair[0]) == key(pair[1])).map(|pair| pair[1] as usize).min()
    }

    fn bytes(&self, range: Range) -> &[u8] {
        let (start, length) = (range.start as usize, range.length as usize);
        match start.checked_sub(self.input.len()) {
            Some(start) => &self.arena[start..start + length],
            None => &self.input[start..start + length],
        }
    }
}

pub(crate) fn duplicate() -> Error {
    Error::new(
        ErrorKind::Duplicate,
        "an equal one came before; keys of a map and elements of a set are distinct",
    )
}

/// Reads a scalar that stands in the input in its canonical form; if another value comes, where it stops is open.
fn plain(reader: &mut Reader<'_>) -> Result<bool> {
    let start = reader.position();
    let first = reader.peek();
    if !matches!(first, 0..0x80 | 0xf4..=0xf6) {
        return Ok(false);
    }
    let head = reader.head()?;
    let shortest = reader.position() - start == head_length(head.argument);
    match head.major {
        2 => drop(reader.take(head.argument)?),
        3 => drop(reader.text(head)?),
        _ => {}
    }
    Ok(shortest)
}

/// How many bytes the shortest head with this argument takes.
pub(crate) fn head_length(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}
