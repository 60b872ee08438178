use std::collections::BTreeMap;

/// Which places of a packed stream are written, as runs that neither overlap nor touch.
///
/// A stream written in order is one run, however long it is; memory grows with the gaps only.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Runs {
    /// First place to last place.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Runs {
    /// Adds places of which none is written.
    pub(super) fn insert(&mut self, first: u64, last: u64) {
        self.count += last - first + 1;
        let (mut start, mut end) = (first, last);
        if let Some((&before, &before_end)) = self.runs.range(..first).next_back()
            && before_end.checked_add(1) == Some(first)
        {
            start = before;
        }
        if let Some(after_end) = last.checked_add(1).and_then(|after| self.runs.remove(&after)) {
            end = after_end;
        }
        self.runs.insert(start, end);
    }

    /// The first place from `first` to `last` that is written.
    pub(super) fn first_written(&self, first: u64, last: u64) -> Option<u64> {
        if self.runs.range(..=first).next_back().is_some_and(|(_, end)| *end >= first) {
            return Some(first);
        }
        self.runs.range(first..=last).next().map(|(start, _)| *start)
    }

    /// The parts of `first` to `last` that are not written, in order.
    pub(super) fn missing(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut next = first;
        if let Some((_, end)) = self.runs.range(..=first).next_back().filter(|(_, end)| **end >= first) {
            if *end >= last {
                return missing;
            }
            next = end + 1;
        }
        for (start, end) in self.runs.range(next..=last) {
            if *start > next {
                missing.push((next, start - 1));
            }
            if *end >= last {
                return missing;
            }
            next = end + 1;
        }
        missing.push((next, last));
        missing
    }

    /// The first place that is not written.
    pub(super) fn first_gap(&self) -> u64 {
        self.runs.get(&0).map_or(0, |end| end.saturating_add(1))
    }

    /// The last place that is written.
    pub(super) fn highest(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, end)| *end)
    }

    /// Places after `last` that are written; all of them if there is no `last`.
    pub(super) fn count_after(&self, last: Option<u64>) -> u64 {
        self.count - last.map_or(0, |last| self.count_through(last))
    }

    /// Places up to `last` that are written.
    pub(super) fn count_through(&self, last: u64) -> u64 {
        let before = self.runs.range(..=last);
        before.map(|(start, end)| (*end).min(last) - start + 1).sum()
    }

    /// Places below the highest that are not written.
    pub(super) fn gaps(&self) -> u64 {
        self.highest().map_or(0, |highest| highest - (self.count - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_and_tell_their_gaps() {
        let mut runs = Runs::default();
        assert_eq!((runs.first_gap(), runs.highest(), runs.gaps()), (0, None, 0));
        runs.insert(5, 9);
        runs.insert(20, 20);
        assert_eq!((runs.first_gap(), runs.highest(), runs.gaps()), (0, Some(20), 15));
        assert_eq!(runs.missing(0, 25), [(0, 4), (10, 19), (21, 25)]);
        assert_eq!(runs.missing(6, 8), []);
        assert_eq!(runs.missing(9, 10), [(10, 10)]);
        assert_eq!(runs.first_written(0, 4), None);
        assert_eq!(runs.first_written(0, 7), Some(5));
        assert_eq!(runs.first_written(7, 30), Some(7));
        assert_eq!(runs.first_written(10, 30), Some(20));
        runs.insert(0, 4);
        assert_eq!(runs.first_gap(), 10);
        runs.insert(10, 19);
        assert_eq!((runs.first_gap(), runs.count, runs.gaps(), runs.runs.len()), (21, 21, 0, 1));
        assert_eq!((runs.count_through(10), runs.count_through(99)), (11, 21));
        assert_eq!((runs.count_after(None), runs.count_after(Some(10))), (21, 10));
    }
}
