//! Parameters and results: sequences of encoded values that are not themselves a value.

mod de;
mod shape;

use crate::{Error, Reader, Result, from_slice, to_vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shape::Shape;

/// A sequence of values: none, one or several.
///
/// `()`, `None` and null are none, a tuple is its elements, anything else is one (a named tuple struct, too, and a
/// fixed-size array).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// What a caller passes.
    Parameters,
    /// What a call returns.
    Results,
}

impl Sequence {
    fn name(self) -> &'static str {
        match self {
            Self::Parameters => "parameters",
            Self::Results => "results",
        }
    }

    fn at(self, index: usize) -> impl Fn(Error) -> Error {
        move |error| error.at_index(index).at_root(self.name())
    }

    /// Encodes each element on its own.
    ///
    /// ```
    /// use perper_values::Sequence;
    ///
    /// assert_eq!(Sequence::Results.encode(&())?.len(), 0);
    /// assert_eq!(Sequence::Results.encode(&(1, "two"))?.len(), 2);
    /// assert_eq!(Sequence::Results.encode(&[1, 2, 3])?.len(), 1);
    /// # Ok::<(), perper_values::Error>(())
    /// ```
    pub fn encode<T: Serialize + ?Sized>(self, values: &T) -> Result<Vec<Bytes>> {
        match shape::of(values) {
            Shape::None => Ok(Vec::new()),
            Shape::One => Ok(vec![to_vec(values).map_err(self.at(0))?.into()]),
            Shape::Several => {
                // As an array, then cut: the elements share one allocation.
                let array = Bytes::from(to_vec(values).map_err(|error| error.at_root(self.name()))?);
                let mut reader = Reader::new(&array);
                reader.token()?;
                let mut elements = Vec::new();
                while !reader.rest().is_empty() {
                    elements.push(array.slice_ref(reader.skip()?));
                }
                Ok(elements)
            }
        }
    }

    /// Decodes the whole sequence: `()` takes anything, a tuple its elements by position, an `Option` is `None` if
    /// there are none, anything else takes the first. Surplus elements are ignored; one that is missing is `None` where
    /// an `Option` is asked for, else an error that names its position. Each element is checked first.
    pub fn decode<'de, T: Deserialize<'de>, V: AsRef<[u8]>>(self, values: &'de [V]) -> Result<T> {
        de::decode(self, values)
    }

    /// Decodes the element at `index`. If it is missing, an `Option` is `None`, anything else an error.
    pub fn element<'de, T: Deserialize<'de>, V: AsRef<[u8]>>(
        self,
        values: &'de [V],
        index: usize,
    ) -> Result<T> {
        match values.get(index) {
            Some(value) => from_slice(value.as_ref()),
            None => de::missing(self, index),
        }
        .map_err(self.at(index))
    }

    /// Decodes all elements from `index` on, for a variadic parameter.
    pub fn rest<'de, T: Deserialize<'de>, V: AsRef<[u8]>>(
        self,
        values: &'de [V],
        index: usize,
    ) -> Result<Vec<T>> {
        (index..values.len()).map(|index| self.element(values, index)).collect()
    }
}
