use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// What a watch has told of, so that a watch begun anew after a reconnect can tell what went meanwhile.
///
/// The server tells everything there is, then a mark, then changes. Whatever was known before and is not told before
/// the mark is gone.
#[derive(Debug)]
pub(crate) struct Resync<K> {
    known: HashSet<K>,
    /// Told by the present watch, until its mark.
    told: Option<HashSet<K>>,
    /// The mark has been passed on; once is enough.
    started: bool,
    gone: VecDeque<K>,
}

impl<K: Eq + Hash + Clone> Resync<K> {
    pub(crate) fn new() -> Self {
        Resync { known: HashSet::new(), told: None, started: false, gone: VecDeque::new() }
    }

    /// A watch begins.
    pub(crate) fn begin(&mut self) {
        self.told = Some(HashSet::new());
    }

    /// There is such a thing.
    pub(crate) fn seen(&mut self, key: K) {
        if let Some(told) = &mut self.told {
            told.insert(key.clone());
        }
        self.known.insert(key);
    }

    /// It is gone. False if nobody has heard of it.
    pub(crate) fn removed(&mut self, key: &K) -> bool {
        if let Some(told) = &mut self.told {
            told.remove(key);
        }
        self.known.remove(key)
    }

    /// The mark. True if it is the first one.
    pub(crate) fn start_reached(&mut self) -> bool {
        if let Some(told) = self.told.take() {
            self.gone.extend(self.known.iter().filter(|key| !told.contains(*key)).cloned());
            self.known = told;
        }
        !std::mem::replace(&mut self.started, true)
    }

    /// Something that went while nobody was watching.
    pub(crate) fn take_gone(&mut self) -> Option<K> {
        self.gone.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_between_two_watches_is_told() {
        let mut resync = Resync::new();
        resync.begin();
        resync.seen(1);
        resync.seen(2);
        assert!(resync.start_reached());
        resync.seen(3);
        assert!(resync.removed(&2));
        assert!(!resync.removed(&2));
        // A reconnect: 1 went meanwhile, 4 came.
        resync.begin();
        resync.seen(3);
        resync.seen(4);
        assert_eq!(resync.take_gone(), None);
        assert!(!resync.start_reached());
        assert_eq!((resync.take_gone(), resync.take_gone()), (Some(1), None));
        assert!(resync.removed(&4));
    }

    #[test]
    fn a_watch_cut_before_its_mark_forgets_nothing() {
        let mut resync = Resync::new();
        resync.begin();
        resync.seen(1);
        resync.start_reached();
        resync.begin();
        resync.begin();
        resync.start_reached();
        assert_eq!(resync.take_gone(), Some(1));
    }
}
