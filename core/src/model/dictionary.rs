use perper_values::{Options, Reference, reference};
use serde::{Deserialize, Serialize};

use super::reference::plain_reference;

/// A dictionary: entries of state under keys. A reference, that may stand inside any other value.
///
/// ```
/// use perper::model::Dictionary;
///
/// let dictionary = Dictionary::new("0123-1");
/// let bytes = perper_values::to_vec(&vec![dictionary.clone()])?;
/// assert_eq!(perper_values::from_slice::<Vec<Dictionary>>(&bytes)?, [dictionary]);
/// # Ok::<(), perper_values::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Reference", try_from = "Reference")]
pub struct Dictionary {
    /// Id.
    pub dictionary: String,
    /// What newer libraries know of it; handed on as it came.
    pub options: Options,
}

plain_reference!(Dictionary, reference::DICTIONARY, dictionary);
