use perper_values::{Error, ErrorKind, Options, Reference, Value, reference};
use serde::{Deserialize, Serialize};

use super::reference::reference;
use crate::protocol::ListenFrom;

/// A stream of items, and from where on to read it. A reference, that may stand inside any other value.
///
/// ```
/// use perper::model::Stream;
///
/// let numbers = Stream::new("0123-1");
/// assert_eq!(numbers.start, None);
/// let again = numbers.clone().replay(100);
/// assert_eq!((again.start, again.stream == numbers.stream), (Some(100), true));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Reference", try_from = "Reference")]
pub struct Stream {
    /// Id.
    pub stream: String,
    /// The key to read from, inclusive; `None`: from the latest item on.
    pub start: Option<i64>,
    /// The distance of two keys of a packed stream; 0 for an unpacked one.
    pub stride: u64,
    /// Read only the items that are stored where the reader is.
    pub local_to_data: bool,
    /// What newer libraries know of it; handed on as it came.
    pub options: Options,
}

const START: &str = "start";
const STRIDE: &str = "stride";
const LOCAL_TO_DATA: &str = "localToData";

reference!(Stream, reference::STREAM, stream);

impl Stream {
    /// The start that stands for the first item kept: the smallest key there can be.
    pub const BEGINNING: i64 = i64::MIN;

    /// The reference to an unpacked stream, read from the latest item on.
    pub fn new(stream: impl Into<String>) -> Self {
        Stream {
            stream: stream.into(),
            start: None,
            stride: 0,
            local_to_data: false,
            options: Options::default(),
        }
    }

    /// The same stream, read from that key on, inclusive.
    #[must_use]
    pub fn replay(mut self, from: i64) -> Self {
        self.start = Some(from);
        self
    }

    /// The same stream, read from the first item kept.
    #[must_use]
    pub fn replay_all(self) -> Self {
        self.replay(Self::BEGINNING)
    }

    /// The same stream, read from the latest item on.
    #[must_use]
    pub fn latest(mut self) -> Self {
        self.start = None;
        self
    }

    /// The same stream as a packed one with that stride.
    #[must_use]
    pub fn packed(mut self, stride: u64) -> Self {
        self.stride = stride;
        self
    }

    /// The same stream, of which only the items are read that are stored where the reader is.
    #[must_use]
    pub fn local_to_data(mut self) -> Self {
        self.local_to_data = true;
        self
    }
}

impl From<&Stream> for ListenFrom {
    fn from(stream: &Stream) -> Self {
        match stream.start {
            None => ListenFrom::Latest,
            Some(Stream::BEGINNING) => ListenFrom::Beginning,
            Some(key) => ListenFrom::Key(key),
        }
    }
}

impl From<Stream> for Reference {
    fn from(stream: Stream) -> Self {
        let mut reference = Reference::new(reference::STREAM, stream.stream);
        reference.options = stream.options;
        if let Some(start) = stream.start {
            reference.options.set(START, Value::from(start));
        }
        if stream.stride != 0 {
            reference.options.set(STRIDE, Value::from(stream.stride));
        }
        if stream.local_to_data {
            reference.options.set(LOCAL_TO_DATA, Value::Bool(true));
        }
        reference
    }
}

impl TryFrom<Reference> for Stream {
    type Error = Error;

    fn try_from(reference: Reference) -> Result<Self, Error> {
        let mut reference = reference.expect_type(reference::STREAM)?;
        let mut integer = |name: &str| match reference.options.remove(name) {
            None => Ok(None),
            Some(Value::Integer(number)) if i64::try_from(&number).is_ok() => Ok(i64::try_from(&number).ok()),
            Some(other) => Err(wrong(name, "a signed 64-bit integer", &other)),
        };
        let start = integer(START)?;
        let stride = integer(STRIDE)?.unwrap_or(0);
        let stride =
            u64::try_from(stride).map_err(|_| wrong(STRIDE, "not negative", &Value::from(stride)))?;
        let local_to_data = match reference.options.remove(LOCAL_TO_DATA) {
            None => false,
            Some(Value::Bool(local)) => local,
            Some(other) => return Err(wrong(LOCAL_TO_DATA, "a boolean", &other)),
        };
        Ok(Stream { stream: reference.id, start, stride, local_to_data, options: reference.options })
    }
}

fn wrong(name: &str, expected: &str, value: &Value) -> Error {
    let message = format!("option {name:?} of a reference to a stream is {expected}, not {value:?}");
    Error::new(ErrorKind::Type, message)
}
