use std::{error::Error as StdError, future::poll_fn, ops::Deref, pin::pin};

use futures_core::Stream;
use perper_values::{Reader, Token};
use serde::{Serialize, Serializer, ser::SerializeTuple as _};

use super::{
    results::{Dynamic, Fallible, IntoOutcome, Values, failure_of, failure_of_dynamic},
    serde_result::{self, Take},
    worker::{Invocation, Outcome},
};
use crate::{
    Error, ErrorKind, Failure,
    protocol::{LinkedStream, StreamOptions, Writer, WriterOptions},
};

/// How a delegate's streams are made when it is reached by a plain call, and how its generator is taken up again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeneratorOptions {
    /// The streams' options. A caller that starts the stream itself gives its own.
    pub stream: StreamOptions,
    /// What a generator does that is given to another worker, after the first was lost.
    pub resume: Resume,
}

/// What becomes of the items that a generator yields again, after its former worker was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// They are written again: at least once. Items with keys are not doubled, since an equal item at an existing key
    /// changes nothing.
    #[default]
    Again,
    /// As many are skipped as the stream has already. For generators that yield the same every time.
    Skip,
}

/// What a generator may yield: an item, an item with its key, or a `Result` of these.
///
/// `(i64, T)` and [`keyed`] give the key; anything else gets one by itself. An `Err` ends the stream with that error.
/// `Marker` is always inferred.
pub trait IntoItem<Marker>: Send {
    /// Appends the encoded item to the buffer, and gives its key.
    fn into_item(self, buffer: &mut Vec<u8>) -> Result<Option<i64>, Failure>;
}

impl<T: Serialize + Send> IntoItem<Values> for T {
    fn into_item(self, buffer: &mut Vec<u8>) -> Result<Option<i64>, Failure> {
        serde_result::split(&self, Item(buffer))?.map_err(Failure::from)
    }
}

impl<T, E, Marker> IntoItem<Fallible<Marker>> for Result<T, E>
where
    T: IntoItem<Marker>,
    E: StdError + Send + 'static,
{
    fn into_item(self, buffer: &mut Vec<u8>) -> Result<Option<i64>, Failure> {
        self.map_err(|error| failure_of(&error))?.into_item(buffer)
    }
}

impl<T, E, Marker> IntoItem<Dynamic<Marker>> for Result<T, E>
where
    T: IntoItem<Marker>,
    E: Deref<Target = dyn StdError + Send + Sync> + Send,
{
    fn into_item(self, buffer: &mut Vec<u8>) -> Result<Option<i64>, Failure> {
        self.map_err(|error| failure_of_dynamic(&*error))?.into_item(buffer)
    }
}

/// Marks a stream of items.
#[derive(Debug)]
pub enum Generator<Marker> {
    #[doc(hidden)]
    Never(std::convert::Infallible, std::marker::PhantomData<Marker>),
}

impl<S, Marker> IntoOutcome<Generator<Marker>> for S
where
    S: Stream<Item: IntoItem<Marker>> + Send,
{
    const GENERATES: bool = true;

    async fn into_outcome(self, invocation: &Invocation) -> Outcome {
        match &invocation.linked_stream {
            Some(linked) => match generate(self, linked, invocation).await {
                Ok(()) => Outcome::Completed(Vec::new()),
                Err(failure) => Outcome::Failed(failure),
            },
            // Delegates are told apart before they are called; this is an `on_…` handler.
            None => {
                let message = "this handler returns a stream, which only a delegate can";
                Outcome::Failed(Error::new(ErrorKind::InvalidArgument, message).into())
            }
        }
    }
}

/// Writes a generator's items to its stream, to the end.
async fn generate<S, Marker>(
    generator: S,
    linked: &LinkedStream,
    invocation: &Invocation,
) -> Result<(), Failure>
where
    S: Stream<Item: IntoItem<Marker>>,
{
    let reservation = invocation.context.execution_scope().map(|execution| execution.reservation.clone());
    let writer = invocation.context.fabric().writer(WriterOptions {
        reservation: reservation.unwrap_or_default(),
        stride: linked.stride,
        ..WriterOptions::new(&linked.stream)
    });
    let mut generator = pin!(generator);
    let mut buffer = Vec::new();
    let mut skip = invocation.skip_items;
    while let Some(item) = poll_fn(|poller| generator.as_mut().poll_next(poller)).await {
        buffer.clear();
        // An error is the end, also where an item would be skipped: whatever it is, it is not what was there.
        let key = item.into_item(&mut buffer)?;
        if skip > 0 {
            skip -= 1;
            continue;
        }
        write(&writer, key, &buffer).await?;
    }
    writer.flush().await.map_err(Failure::from)
}

async fn write(writer: &Writer, key: Option<i64>, value: &[u8]) -> Result<(), Failure> {
    match key {
        Some(key) => writer.write_keyed(key, value).await,
        None => writer.write(value).await,
    }
    .map_err(Failure::from)
}

/// An item with its key, for a generator to yield.
///
/// ```
/// use perper::keyed;
///
/// let item = keyed(5, "five");
/// assert_eq!((item.key, item.value), (5, "five"));
/// ```
pub fn keyed<T>(key: i64, value: T) -> Keyed<T> {
    Keyed { key, value }
}

/// See [`keyed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keyed<T> {
    /// The key.
    pub key: i64,
    /// The value.
    pub value: T,
}

impl<T: Serialize> Serialize for Keyed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&self.key)?;
        pair.serialize_element(&self.value)?;
        pair.end()
    }
}

/// Takes a value as an item.
struct Item<'a>(&'a mut Vec<u8>);

impl Take for Item<'_> {
    type Taken = crate::Result<Option<i64>>;

    fn take<T: Serialize + ?Sized>(self, value: &T) -> Self::Taken {
        perper_values::to_buffer(value, self.0)?;
        if !is_keyed::<T>() {
            return Ok(None);
        }
        // An array of two: the key goes, the value stays.
        let mut reader = Reader::new(self.0);
        reader.token()?;
        let key = match reader.token()? {
            Token::Integer(key) => i64::try_from(key).ok(),
            _ => None,
        };
        let start = reader.position();
        self.0.drain(..start);
        Ok(key)
    }
}

/// Whether a type is a pair of a key and a value. The compiler knows; serde cannot tell `(i64, T)` from `[i64; 2]`.
fn is_keyed<T: ?Sized>() -> bool {
    let mut name = std::any::type_name::<T>();
    while let Some(rest) = name.strip_prefix('&') {
        name = rest;
    }
    match name.strip_prefix("(i64, ").and_then(|rest| rest.strip_suffix(')')) {
        Some(second) => is_one_type(second),
        None => name.starts_with(concat!(module_path!(), "::Keyed<")),
    }
}

/// Whether the text names one type, not several with commas between.
fn is_one_type(names: &str) -> bool {
    let mut depth = 0usize;
    for character in names.chars() {
        match character {
            '(' | '<' | '[' | '{' => depth += 1,
            ')' | '>' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return false,
            _ => {}
        }
    }
    true
}
