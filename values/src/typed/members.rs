//! Which member of a struct, or variant of an enum, a name in the input means.

/// The place of `name` among `names`: exactly, else ignoring case and underscores.
pub(super) fn find(names: &'static [&'static str], name: &str) -> Option<usize> {
    names.iter().position(|candidate| *candidate == name).or_else(|| find_folded(names, name))
}

pub(super) fn find_folded(names: &'static [&'static str], name: &str) -> Option<usize> {
    names.iter().position(|candidate| folded(candidate).eq(folded(name)))
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|character| *character != '_').flat_map(char::to_lowercase)
}

/// Which members were given already. A bit each; the first 128 need no allocation.
#[derive(Debug, Default)]
pub(super) struct Given {
    first: u128,
    more: Vec<u128>,
}

impl Given {
    /// Marks a member; false if it was marked before.
    pub(super) fn mark(&mut self, member: usize) -> bool {
        let word = match member / 128 {
            0 => &mut self.first,
            word => {
                if self.more.len() < word {
                    self.more.resize(word, 0);
                }
                &mut self.more[word - 1]
            }
        };
        let bit = 1 << (member % 128);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
