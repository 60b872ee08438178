use perper_store::Result;
use prost::Message;

/// Runs in a chunk, at most. A chunk is written whole when its order changes, and searched from its beginning.
const MAX_RUNS: usize = 128;

/// Neighbours with so few runs together become one.
const MERGED_RUNS: usize = MAX_RUNS / 4;

/// Elements of consecutive numbers, in order. What is only added to and taken from the ends is a single run, of any
/// length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    length: u64,
}

/// A part of a list's order.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub(super) number: u64,
    /// To be written when the run of requests ends.
    pub(super) dirty: bool,
    /// Elements in it.
    pub(super) length: u64,
    runs: Vec<Run>,
}

/// A chunk as it stands in the store.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChunkRecord {
    /// The chunk behind it; 0 for the last.
    #[prost(uint64, tag = "1")]
    pub(super) next: u64,
    /// First number and length of each run.
    #[prost(uint64, repeated, tag = "2")]
    runs: Vec<u64>,
}

impl Chunk {
    pub(super) fn new(number: u64) -> Self {
        Self { number, dirty: true, ..Self::default() }
    }

    pub(super) fn restore(number: u64, record: &ChunkRecord) -> Option<Self> {
        let mut chunk = Self { number, ..Self::default() };
        let (runs, rest) = record.runs.as_chunks::<2>();
        for &[first, length] in runs {
            if length == 0 || first.checked_add(length - 1).is_none() {
                return None;
            }
            chunk.length = chunk.length.checked_add(length)?;
            chunk.runs.push(Run { first, length });
        }
        (rest.is_empty() && !runs.is_empty()).then_some(chunk)
    }

    pub(super) fn record(&self, next: u64) -> ChunkRecord {
        ChunkRecord { next, runs: self.runs.iter().flat_map(|run| [run.first, run.length]).collect() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.runs.len() > MAX_RUNS
    }

    pub(super) fn merges_with(&self, other: &Chunk) -> bool {
        self.runs.len() + other.runs.len() <= MERGED_RUNS
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.first)
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.runs.last().map(|run| run.first + (run.length - 1))
    }

    /// The largest number below a bound.
    pub(super) fn largest_below(&self, bound: u64) -> Option<u64> {
        self.runs.iter().map(|run| run.first + (run.length - 1)).filter(|last| *last < bound).max()
    }

    /// Which run an offset falls into, and where in it.
    fn locate(&self, offset: u64) -> Option<(usize, u64)> {
        if offset >= self.length {
            return None;
        }
        // From the nearer end: that is where most work is done.
        if offset >= self.length / 2 {
            let mut end = self.length;
            for (index, run) in self.runs.iter().enumerate().rev() {
                let start = end - run.length;
                if offset >= start {
                    return Some((index, offset - start));
                }
                end = start;
            }
        }
        let mut start = 0;
        for (index, run) in self.runs.iter().enumerate() {
            if offset < start + run.length {
                return Some((index, offset - start));
            }
            start += run.length;
        }
        None
    }

    /// The number of the element at an offset.
    pub(super) fn element(&self, offset: u64) -> Option<u64> {
        let (run, within) = self.locate(offset)?;
        Some(self.runs[run].first + within)
    }

    /// Where the element with a number is.
    pub(super) fn find(&self, number: u64) -> Option<u64> {
        let mut start = 0;
        for run in &self.runs {
            if let Some(within) = number.checked_sub(run.first).filter(|within| *within < run.length) {
                return Some(start + within);
            }
            start += run.length;
        }
        None
    }

    /// Puts an element before the one at an offset, or at the end.
    pub(super) fn insert(&mut self, offset: u64, number: u64) {
        self.dirty = true;
        let (mut index, within) = self.locate(offset).unwrap_or((self.runs.len(), 0));
        self.length += 1;
        if within > 0 {
            let run = self.runs[index];
            self.runs[index].length = within;
            index += 1;
            self.runs.insert(index, Run { first: run.first + within, length: run.length - within });
        }
        if let Some(before) = index.checked_sub(1).and_then(|before| self.runs.get_mut(before))
            && before.first.checked_add(before.length) == Some(number)
        {
            before.length += 1;
        } else if let Some(behind) = self.runs.get_mut(index)
            && number.checked_add(1) == Some(behind.first)
        {
            behind.first = number;
            behind.length += 1;
        } else {
            self.runs.insert(index, Run { first: number, length: 1 });
        }
    }

    /// Takes the element at an offset out; its number.
    pub(super) fn remove(&mut self, offset: u64) -> Option<u64> {
        let (index, within) = self.locate(offset)?;
        self.dirty = true;
        self.length -= 1;
        let run = self.runs[index];
        if run.length == 1 {
            self.runs.remove(index);
        } else if within == 0 {
            self.runs[index] = Run { first: run.first + 1, length: run.length - 1 };
        } else {
            self.runs[index].length = within;
            let rest = run.length - within - 1;
            if rest > 0 {
                self.runs.insert(index + 1, Run { first: run.first + within + 1, length: rest });
            }
        }
        Some(run.first + within)
    }

    /// Gives half of its runs to a new chunk.
    pub(super) fn split(&mut self, number: u64) -> Chunk {
        self.dirty = true;
        let runs = self.runs.split_off(self.runs.len() / 2);
        let length = runs.iter().map(|run| run.length).sum();
        self.length -= length;
        Chunk { number, dirty: true, length, runs }
    }

    /// Takes everything of the chunk behind it.
    pub(super) fn absorb(&mut self, behind: Chunk) {
        self.dirty = true;
        self.length += behind.length;
        self.runs.extend(behind.runs);
    }

    /// The numbers of its elements from an offset on.
    pub(super) fn elements(&self, offset: u64) -> impl Iterator<Item = u64> {
        let (index, within) = self.locate(offset).unwrap_or((self.runs.len(), 0));
        self.runs[index..].iter().enumerate().flat_map(move |(index, run)| {
            let skipped = if index == 0 { within } else { 0 };
            (skipped..run.length).map(|offset| run.first + offset)
        })
    }
}

pub(super) fn decode(
    value: bytes::Bytes,
    unreadable: impl Fn(&str) -> perper_store::Error,
) -> Result<ChunkRecord> {
    ChunkRecord::decode(value).map_err(|error| unreadable(&error.to_string()))
}
