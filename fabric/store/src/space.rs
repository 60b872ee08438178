//! The key spaces.

/// A key space: keys of different spaces never meet, and a commit is atomic across all of them.
///
/// The list is short and fixed. What is numerous (streams, dictionaries, executions) is told apart by composite keys
/// within a space, never by a tree of its own: stores pay for each tree in memory and at every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// What concerns the store as a whole.
    Meta = 1,
    /// Sessions of clients.
    Sessions = 2,
    /// Executions, with their arguments and results.
    Executions = 3,
    /// Records of streams.
    Streams = 4,
    /// Batches of stream items: the space with large values that live shortly.
    Items = 5,
    /// Listeners of streams.
    Listeners = 6,
    /// Entries of dictionaries.
    Dictionaries = 7,
    /// Entries of lists.
    Lists = 8,
    /// What is still to be done beyond one object.
    Intents = 9,
}

impl Space {
    /// Every space, in the order of its number.
    pub const ALL: [Space; 9] = [
        Space::Meta,
        Space::Sessions,
        Space::Executions,
        Space::Streams,
        Space::Items,
        Space::Listeners,
        Space::Dictionaries,
        Space::Lists,
        Space::Intents,
    ];

    /// The space's number. Stored on disk, so it never changes.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The space with this number.
    pub(crate) fn from_number(number: u8) -> Option<Space> {
        Space::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The place of this space in an array with one element per space.
    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }

    /// The space's name, in diagnostics and in stores that name their trees.
    pub const fn name(self) -> &'static str {
        match self {
            Space::Meta => "meta",
            Space::Sessions => "sessions",
            Space::Executions => "executions",
            Space::Streams => "streams",
            Space::Items => "items",
            Space::Listeners => "listeners",
            Space::Dictionaries => "dictionaries",
            Space::Lists => "lists",
            Space::Intents => "intents",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn numbers_are_dense_and_names_differ() {
        for (index, space) in Space::ALL.into_iter().enumerate() {
            assert_eq!(space.index(), index);
            assert!(Space::ALL.iter().filter(|other| other.name() == space.name()).count() == 1);
        }
    }
}
