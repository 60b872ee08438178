//! Arguments and results of any number, where a program that knows them has tuples.

use perper_values::Value;
use serde::{Serialize, Serializer, ser::SerializeTuple as _};

/// As a tuple of that many elements.
pub(crate) struct Several(pub(crate) Vec<Value>);

impl Serialize for Several {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_unit();
        }
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in &self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

/// As many results as any scenario has; those that are not there are `None`.
pub(crate) type Results = (Option<Value>, Option<Value>, Option<Value>, Option<Value>);

/// The results that are there. A last one that is null is the same as none.
pub(crate) fn results((a, b, c, d): Results) -> Vec<Value> {
    let mut results = vec![a, b, c, d];
    while results.last().is_some_and(Option::is_none) {
        results.pop();
    }
    results.into_iter().map(Option::unwrap_or_default).collect()
}
