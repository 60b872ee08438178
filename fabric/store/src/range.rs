//! Ranges of keys.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

use crate::Result;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// The entries of a range, read as they are asked for.
///
/// It is no snapshot: an entry that is there throughout comes exactly once, one that is written or deleted meanwhile
/// may come or not.
pub type Entries = Box<dyn Iterator<Item = Result<Entry>> + Send>;

/// The order in which a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Reverse,
}

/// A range of keys within a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub start: Bound<Bytes>,
    /// Where it ends.
    pub end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub const ALL: KeyRange = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };

    /// The keys within `bounds`.
    pub fn new<K: AsRef<[u8]>>(bounds: impl RangeBounds<K>) -> Self {
        let owned = |bound: Bound<&K>| bound.map(|key| Bytes::copy_from_slice(key.as_ref()));
        Self { start: owned(bounds.start_bound()), end: owned(bounds.end_bound()) }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let end = match successor(prefix) {
            Some(end) => Bound::Excluded(Bytes::from(end)),
            None => Bound::Unbounded,
        };
        Self { start: Bound::Included(Bytes::copy_from_slice(prefix)), end }
    }

    /// Whether no key at all can be within; ordered maps refuse such bounds rather than yielding nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end))
            | (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        }
    }

    pub(crate) fn as_slices(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.start.as_ref().map(|key| &key[..]), self.end.as_ref().map(|key| &key[..]))
    }
}

/// The smallest key above every key that begins with `prefix`; none if there is no such key.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255, 255]), None);
        assert_eq!(successor(b""), None);
        assert_eq!(
            KeyRange::prefix(b""),
            KeyRange { start: Bound::Included(Bytes::new()), end: Bound::Unbounded }
        );
    }

    #[test]
    fn bounds_that_hold_no_key_are_recognised() {
        assert!(KeyRange::new::<&[u8]>(&b"b"[..]..&b"a"[..]).is_empty());
        assert!(KeyRange::new::<&[u8]>(&b"a"[..]..&b"a"[..]).is_empty());
        assert!(!KeyRange::new::<&[u8]>(&b"a"[..]..=&b"a"[..]).is_empty());
        assert!(!KeyRange::ALL.is_empty());
    }
}
