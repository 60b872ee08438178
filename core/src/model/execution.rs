use perper_values::{Options, Reference, reference};
use serde::{Deserialize, Serialize};

use super::reference::plain_reference;

/// A call of a delegate, from its creation to its results. A reference, that may stand inside any other value.
///
/// ```
/// use perper::model::Execution;
///
/// let execution = Execution::new("0123-1");
/// let bytes = perper_values::to_vec(&vec![execution.clone()])?;
/// assert_eq!(perper_values::from_slice::<Vec<Execution>>(&bytes)?, [execution]);
/// # Ok::<(), perper_values::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Reference", try_from = "Reference")]
pub struct Execution {
    /// Id.
    pub execution: String,
    /// What newer libraries know of it; handed on as it came.
    pub options: Options,
}

plain_reference!(Execution, reference::EXECUTION, execution);
