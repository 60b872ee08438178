//! The generators of the agent, one of every kind.

use futures_util::{Stream as Items, StreamExt as _, stream};
use perper::{Result, Stream};
use perper_values::Value;
use serde_json::Value as Json;

use crate::{
    agent::OutOfStock,
    gate,
    output::{self, Cancelled},
};

/// Where [`gated`] and [`gated_keyed`] wait.
const GATE: i64 = 2;

pub(crate) async fn numbers(from: i64, to: i64) -> impl Items<Item = i64> {
    stream::iter(from..to)
}

/// Any values, at keys of the caller's.
pub(crate) async fn keyed(entries: Vec<(i64, Value)>) -> impl Items<Item = (i64, Value)> {
    stream::iter(entries)
}

/// As [`keyed`], for a stream that is packed where the caller says nothing.
pub(crate) async fn packed(entries: Vec<(i64, Value)>) -> impl Items<Item = (i64, Value)> {
    stream::iter(entries)
}

pub(crate) async fn fail_after(count: i64) -> impl Items<Item = Result<i64, OutOfStock>> {
    let failure = stream::once(async { Err(OutOfStock("numbers".to_owned())) });
    stream::iter(0..count).map(Ok).chain(failure)
}

/// That many numbers, and then nothing more until it is cancelled.
pub(crate) async fn hang(count: i64) -> impl Items<Item = i64> {
    output::event("running", Json::Null);
    let guard = Cancelled::new();
    stream::iter(0..count).chain(stream::pending()).inspect(move |_| {
        // Keeps it as long as the generator.
        let _ = &guard;
    })
}

pub(crate) async fn squares(of: Stream) -> impl Items<Item = Result<i64>> {
    of.items::<i64>().map(|number| number.map(|number| number * number))
}

/// One more than each number that comes, up to 9; of a pair of these, one begins.
pub(crate) async fn bounce(other: Stream, first: bool) -> impl Items<Item = Result<i64>> {
    let serve = stream::iter(first.then_some(Ok(0)));
    let returned = other.replay_all().items::<i64>().map(|number| number.map(|number| number + 1));
    serve.chain(returned).take_while(|number| std::future::ready(!matches!(number, Ok(10..))))
}

/// Deterministic numbers that wait at the gate before the third.
pub(crate) async fn gated(count: i64) -> impl Items<Item = i64> {
    stream::iter(0..count).then(async |number| {
        if number == GATE {
            output::event("at the gate", Json::Null);
            gate::pass().await;
        }
        number
    })
}

/// The same, with keys that are ten times the number.
pub(crate) async fn gated_keyed(count: i64) -> impl Items<Item = (i64, i64)> {
    gated(count).await.map(|number| (number * 10, number))
}
