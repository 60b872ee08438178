//! A greeting, streamed character by character from one process to another.
//!
//!     hello greeter          in one terminal
//!     hello printer World    in another
//!
//! Either may be started first: both wait for the Fabric, and calls wait for whoever answers them.

use anyhow::bail;
use perper::{Agent, Stream};

/// A handler that returns a stream is a generator: it runs while somebody listens.
async fn greet(name: String) -> impl tokio_stream::Stream<Item = char> {
    let greeting = format!("Hello, {name}!\n");
    tokio_stream::iter(greeting.chars().collect::<Vec<_>>())
}

async fn print(name: &str) -> perper::Result<()> {
    perper::connect().await?;
    // What comes back is a reference; the characters stay where they are until somebody listens.
    let greeting: Stream = perper::call_agent(&Agent::new("Greeter", ""), "Greet", name).await?;
    let mut characters = greeting.items::<char>();
    while let Some(character) = characters.try_next().await? {
        print!("{character}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["greeter"] => Agent::builder("Greeter").stream("Greet", greet).run().await?,
        ["printer"] => print("World").await?,
        ["printer", name] => print(name).await?,
        _ => bail!("usage: hello greeter | hello printer [NAME]"),
    }
    Ok(())
}
