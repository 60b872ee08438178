use perper_values::{Options, Reference, reference};
use serde::{Deserialize, Serialize};

use super::reference::plain_reference;

/// A list: elements of state in order. A reference, that may stand inside any other value.
///
/// ```
/// use perper::model::List;
///
/// let list = List::new("0123-1");
/// let bytes = perper_values::to_vec(&vec![list.clone()])?;
/// assert_eq!(perper_values::from_slice::<Vec<List>>(&bytes)?, [list]);
/// # Ok::<(), perper_values::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Reference", try_from = "Reference")]
pub struct List {
    /// Id.
    pub list: String,
    /// What newer libraries know of it; handed on as it came.
    pub options: Options,
}

plain_reference!(List, reference::LIST, list);
