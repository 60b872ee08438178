//! References: how agents, executions, streams, dictionaries and lists travel inside values.

use crate::Value;

/// The type of a reference to an agent; option `instance`.
pub const AGENT: &str = "perper.Agent";
/// The type of a reference to an execution.
pub const EXECUTION: &str = "perper.Execution";
/// The type of a reference to a stream; options `start`, `stride` and `localToData`.
pub const STREAM: &str = "perper.Stream";
/// The type of a reference to a dictionary.
pub const DICTIONARY: &str = "perper.Dictionary";
/// The type of a reference to a list.
pub const LIST: &str = "perper.List";
/// The option that holds a capability token. Equality and keys ignore it.
pub const CAPABILITY: &str = "capability";

/// A reference, `27([type, id, {options}])`. Options that a library does not know survive when it passes the
/// reference on.
///
/// A model type becomes a reference anywhere inside other values by conversion, which serde does by itself:
///
/// ```
/// use perper_values::{Error, Reference, reference};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// #[serde(into = "Reference", try_from = "Reference")]
/// struct Execution(Reference);
///
/// impl From<Execution> for Reference {
///     fn from(execution: Execution) -> Self {
///         execution.0
///     }
/// }
///
/// impl TryFrom<Reference> for Execution {
///     type Error = Error;
///
///     fn try_from(reference: Reference) -> Result<Self, Error> {
///         reference.expect_type(reference::EXECUTION).map(Self)
///     }
/// }
///
/// let bytes = perper_values::to_vec(&vec![Execution(Reference::new(reference::EXECUTION, "e1"))])?;
/// let back: Vec<Execution> = perper_values::from_slice(&bytes)?;
/// assert_eq!(back[0].0.id, "e1");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it refers to, such as [`STREAM`].
    pub r#type: String,
    /// Which one.
    pub id: String,
    /// Everything else, in order.
    pub options: Options,
}

/// The options of a [`Reference`], in order. Equality ignores the order and the capability token.
#[derive(Clone, Debug, Default)]
pub struct Options(pub Vec<(String, Value)>);

impl Reference {
    /// A reference without options.
    pub fn new(r#type: impl Into<String>, id: impl Into<String>) -> Self {
        Self { r#type: r#type.into(), id: id.into(), options: Options::default() }
    }

    /// The same with one more option, or another value for one that it has.
    #[must_use]
    pub fn with_option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.set(name, value.into());
        self
    }

    /// Itself if it is of that type, else an error that says what it is.
    pub fn expect_type(self, expected: &str) -> crate::Result<Self> {
        if self.r#type == expected {
            return Ok(self);
        }
        let message = format!("expected a reference to {expected}, found one to {}", self.r#type);
        Err(crate::Error::new(crate::ErrorKind::Type, message))
    }
}

impl Options {
    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(option, _)| option == name).map(|(_, value)| value)
    }

    /// Sets an option, in its place if it is there.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(option, _)| option == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes an option out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(option, _)| option == name)?;
        Some(self.0.remove(place).1)
    }
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        let counted = |options: &Self| options.0.iter().filter(|(name, _)| name != CAPABILITY).count();
        counted(self) == counted(other)
            && self
                .0
                .iter()
                .filter(|(name, _)| name != CAPABILITY)
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Eq for Options {}
