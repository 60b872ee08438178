//! One agent that shows one thing after the other: calls, an action stream, a processor that works in batches, two
//! streams that feed each other.

use std::time::Duration;

use perper::{Agent, Result, Stream, keyed};
use tokio_stream::StreamExt as _;

/// One result.
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Several results: a tuple.
async fn divide(a: i64, b: i64) -> std::result::Result<(i64, i64), String> {
    if b == 0 {
        return Err(format!("{a} cannot be divided by zero"));
    }
    Ok((a / b, a % b))
}

/// A result that may be absent.
async fn find(words: Vec<String>, start: String) -> Option<String> {
    words.into_iter().find(|word| word.starts_with(&start))
}

/// An action: it runs whether anybody listens or not. Here for what it leaves in the instance's state.
async fn tick(times: i64) -> impl tokio_stream::Stream<Item = Result<i64>> {
    tokio_stream::iter(0..times).then(|tick| async move {
        perper::state()?.set("ticks", &(tick + 1)).await?;
        Ok(tick)
    })
}

/// Numbers with keys of their own: whoever starts this again after a crash writes nothing twice.
async fn numbers(to: i64) -> impl tokio_stream::Stream<Item = perper::Keyed<i64>> {
    tokio_stream::iter(0..to).map(|number| keyed(number, number))
}

/// Sums of batches of items: of ten, or of what came within a while.
async fn sums(numbers: Stream) -> impl tokio_stream::Stream<Item = Result<i64>> {
    numbers.replay_all().items::<i64>().chunks_timeout(10, Duration::from_millis(500)).map(|batch| {
        let batch: Result<Vec<i64>> = batch.into_iter().collect();
        Ok(batch?.iter().sum())
    })
}

/// Adds one to what the other says, until it is enough. The one that begins says 0.
async fn bounce(other: Stream, begins: bool) -> impl tokio_stream::Stream<Item = Result<i64>> {
    let heard = other.replay_all().items::<i64>();
    tokio_stream::iter(begins.then_some(Ok(0)))
        .chain(heard.map(|number| number.map(|number| number + 1)))
        .take_while(|number| number.as_ref().is_ok_and(|number| *number <= 6))
}

async fn show() -> Result<()> {
    let sum: i64 = perper::call("Add", (2, 3)).await?;
    println!("2 + 3 = {sum}");

    let (quotient, remainder): (i64, i64) = perper::call("Divide", (17, 5)).await?;
    println!("17 / 5 = {quotient}, remainder {remainder}");
    let error = perper::call::<(i64, i64)>("Divide", (1, 0)).await.expect_err("there is no such quotient");
    let failure = error.failure().map(|failure| failure.message.as_str());
    println!("1 / 0: {}", failure.unwrap_or(error.message()));

    let words = ["agent", "stream", "state"];
    let found: Option<String> = perper::call("Find", (words, "str")).await?;
    let missing: Option<String> = perper::call("Find", (words, "x")).await?;
    println!("found {found:?} and {missing:?}");

    // The generator of an action starts by itself; to see that it has ended, one may still listen.
    let ticks = perper::stream("Tick").action().persistent().start(3).await?;
    let ticked: Vec<i64> = ticks.replay_all().items().collect::<Result<_>>().await?;
    let state: Option<i64> = perper::state()?.get("ticks").await?;
    println!("ticked {ticked:?}, the state says {state:?}");

    let numbers = perper::stream("Numbers").start(25).await?;
    let sums = perper::stream("Sums").start(&numbers).await?;
    let sums: Vec<i64> = sums.items().collect::<Result<_>>().await?;
    println!("25 numbers in batches sum up to {}", sums.iter().sum::<i64>());

    // A circle: the first is declared, so that the second can be told of it. Both are persistent, since each has two
    // listeners that start when they start: of an ephemeral stream, what one had processed would be gone for the other.
    let ping = perper::stream("Bounce").persistent().declare().await?;
    let pong = perper::stream("Bounce").persistent().start((ping.stream(), false)).await?;
    let ping = ping.start((&pong, true)).await?;
    let pings: Vec<i64> = ping.replay_all().items().collect::<Result<_>>().await?;
    let pongs: Vec<i64> = pong.replay_all().items().collect::<Result<_>>().await?;
    println!("ping {pings:?}, pong {pongs:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let agent = Agent::builder("Basic")
        .delegate("Add", add)
        .delegate("Divide", divide)
        .delegate("Find", find)
        .stream("Tick", tick)
        .stream("Numbers", numbers)
        .stream("Sums", sums)
        .stream("Bounce", bounce)
        .start()
        .await?;
    // What runs in the agent's context needs no connection by name.
    let shown = agent.context().scope(show()).await;
    agent.shutdown().await?;
    Ok(shown?)
}
