//! What dictionaries and lists must do, in a few lines each.

use std::collections::{BTreeMap, VecDeque};

/// Operations that change a dictionary, or have outcomes worth repeating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DictionaryStep {
    Get(u64),
    Set(u64, u64),
    SetIfAbsent(u64, u64),
    ReplaceIfEqual(u64, u64, u64),
    GetAndReplace(u64, u64),
    GetAndRemove(u64),
    Remove(u64),
    RemoveIfEqual(u64, u64),
    Contains(u64),
    Count,
    Clear,
}

/// What one operation gives: the value, whether it applied, the count.
pub(super) type Given = (Option<u64>, bool, u64);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DictionaryModel {
    pub(super) entries: BTreeMap<u64, u64>,
}

impl DictionaryModel {
    /// Carries out all steps or none: what each gives, or which one's condition does not hold.
    pub(super) fn update(&mut self, steps: &[DictionaryStep]) -> Result<Vec<Given>, usize> {
        let mut entries = self.entries.clone();
        let given = steps
            .iter()
            .enumerate()
            .map(|(index, step)| Self::step(&mut entries, step).ok_or(index))
            .collect::<Result<_, _>>()?;
        self.entries = entries;
        Ok(given)
    }

    fn step(entries: &mut BTreeMap<u64, u64>, step: &DictionaryStep) -> Option<Given> {
        use DictionaryStep as D;
        Some(match *step {
            D::Get(key) => (entries.get(&key).copied(), false, 0),
            D::Contains(key) => (None, entries.contains_key(&key), 0),
            D::Count => (None, false, entries.len() as u64),
            D::Set(key, value) => {
                entries.insert(key, value);
                (None, true, 0)
            }
            D::SetIfAbsent(key, value) => {
                if entries.contains_key(&key) {
                    return None;
                }
                entries.insert(key, value);
                (None, true, 0)
            }
            D::ReplaceIfEqual(key, expected, value) => {
                *entries.get_mut(&key).filter(|present| **present == expected)? = value;
                (None, true, 0)
            }
            D::GetAndReplace(key, value) => (Some(std::mem::replace(entries.get_mut(&key)?, value)), true, 0),
            D::GetAndRemove(key) => {
                let former = entries.remove(&key);
                (former, former.is_some(), 0)
            }
            D::Remove(key) => (None, entries.remove(&key).is_some(), 0),
            D::RemoveIfEqual(key, expected) => {
                entries.get(&key).filter(|present| **present == expected)?;
                entries.remove(&key);
                (None, true, 0)
            }
            D::Clear => {
                entries.clear();
                (None, false, 0)
            }
        })
    }
}

/// Operations that change a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListStep {
    Add(u64),
    Pop,
    Dequeue,
    InsertAt(u64, u64),
    RemoveAt(u64),
    SetAt(u64, u64),
    Remove(u64),
    Clear,
}

/// What an operation on a list gives: the value, the index, the length afterwards, whether it was found.
pub(super) type ListGiven = (Option<u64>, Option<u64>, u64, bool);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListModel {
    pub(super) elements: VecDeque<u64>,
}

impl ListModel {
    /// Carries out a step, whose index must be in range.
    pub(super) fn update(&mut self, step: &ListStep) -> ListGiven {
        let elements = &mut self.elements;
        let (mut value, mut at, mut found) = (None, None, false);
        match *step {
            ListStep::Add(element) => {
                at = Some(elements.len() as u64);
                elements.push_back(element);
            }
            ListStep::Pop => value = elements.pop_back(),
            ListStep::Dequeue => value = elements.pop_front(),
            ListStep::InsertAt(index, element) => elements.insert(index as usize, element),
            ListStep::RemoveAt(index) => value = elements.remove(index as usize),
            ListStep::SetAt(index, element) => elements[index as usize] = element,
            ListStep::Remove(element) => {
                if let Some(index) = elements.iter().position(|present| *present == element) {
                    elements.remove(index);
                    found = true;
                }
            }
            ListStep::Clear => elements.clear(),
        }
        (value, at, elements.len() as u64, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_applies_whole_or_not_at_all() {
        use DictionaryStep as D;
        let mut model = DictionaryModel::default();
        assert_eq!(
            model.update(&[D::Set(1, 10), D::Get(1), D::Count]),
            Ok(vec![(None, true, 0), (Some(10), false, 0), (None, false, 1)])
        );
        assert_eq!(model.update(&[D::Set(2, 20), D::SetIfAbsent(1, 11)]), Err(1));
        assert_eq!(model.entries, BTreeMap::from([(1, 10)]));
        assert_eq!(
            model.update(&[D::GetAndReplace(1, 12), D::RemoveIfEqual(1, 12)]),
            Ok(vec![(Some(10), true, 0), (None, true, 0)])
        );
        assert!(model.entries.is_empty());
    }

    #[test]
    fn a_list_gives_what_it_takes() {
        let mut model = ListModel::default();
        assert_eq!(model.update(&ListStep::Pop), (None, None, 0, false));
        assert_eq!(model.update(&ListStep::Add(1)), (None, Some(0), 1, false));
        assert_eq!(model.update(&ListStep::InsertAt(0, 2)), (None, None, 2, false));
        assert_eq!(model.update(&ListStep::Remove(1)), (None, None, 1, true));
        assert_eq!(model.update(&ListStep::Dequeue), (Some(2), None, 0, false));
    }
}
