use bytes::Bytes;
use perper_proto::Reason;
use perper_values as values;

use super::directory::Directory;
use super::{Lists, update};
use crate::engine::Result;
use crate::engine::embedded::states::{State, entry_key};

/// A value that elements are compared with.
pub(super) struct Sought {
    value: Bytes,
    canonical: Vec<u8>,
}

impl Sought {
    pub(super) fn new(value: Bytes) -> Result<Self> {
        let canonical = values::canonicalise(&value).map_err(|error| {
            let error = error.at_root("value");
            Reason::InvalidValue
                .error(error.to_string())
                .with("path", error.path())
                .with("kind", error.kind().code())
        })?;
        Ok(Self { value, canonical })
    }

    fn equals(&self, element: &[u8]) -> bool {
        // Most elements come from writers of one kind, so equal ones are the same bytes.
        *element == *self.value
            || values::canonicalise(element).is_ok_and(|element| element == self.canonical)
    }
}

impl Lists {
    /// The index of the first element that equals a value. Reads every element before it.
    pub(super) fn index_of(
        &self,
        state: &State<Directory>,
        id: &str,
        sought: &Sought,
    ) -> Result<Option<u64>> {
        for (index, number) in (0..).zip(state.contents.elements(0, state.count)) {
            let element = self.elements.get(&entry_key(state.contents_number, &number.to_be_bytes()))?;
            if sought.equals(&element.ok_or_else(|| update::lost(id, index))?) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}
