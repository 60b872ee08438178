//! Counts the words of text files, with agents in five processes.
//!
//!     wordcount FILE…
//!     wordcount --scaled FILE…
//!
//! With `--scaled` it starts no processes: a scaler does, as `examples/rust/perper.yaml` says.
//! A reader streams the lines. Three instances of a tokenizer, each in a process of its own, share them and stream the
//! counts of each line. A counter adds them up in its state, and streams back how far it is; then the top of the table.
//! A file may be a pipe: then counting goes on until whoever writes into it has closed it.
//! A word is a run of ASCII letters, in lower case: what `tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]'` says.

mod counter;
mod processes;
mod reader;
mod tokenizer;

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use perper::protocol::NewInstance;
use perper::{Agent, Stream};
use tokio_stream::StreamExt as _;

use self::processes::Processes;

/// Words in the table.
const TOP: usize = 20;
/// Instances of the tokenizer.
const TOKENIZERS: i64 = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--agent") => serve(arguments.get(1).map(String::as_str)).await,
        None | Some("--help" | "-h") => bail!("usage: wordcount [--scaled] FILE…"),
        Some("--scaled") => count(arguments[1..].to_vec(), true).await,
        Some(_) => count(arguments, false).await,
    }
}

/// Runs one agent process.
async fn serve(agent: Option<&str>) -> anyhow::Result<()> {
    match agent {
        Some("Reader") => reader::agent().run().await?,
        Some("Tokenizer") => tokenizer::agent().run().await?,
        Some("Counter") => counter::agent().run().await?,
        other => bail!("there is no agent {other:?} here; there are Reader, Tokenizer and Counter"),
    }
    Ok(())
}

/// Starts the processes (unless a scaler does), connects their streams, and prints the table.
async fn count(files: Vec<String>, scaled: bool) -> anyhow::Result<()> {
    let context = perper::connect().await?;
    let mut processes = if scaled { Processes::scaled() } else { Processes::own() };
    processes.start("Reader", None)?;
    processes.start("Counter", None)?;

    let reader = Agent::new("Reader", "");
    let total: Option<u64> = reader.call("Count", &files).await.context("counting the lines")?;
    let lines: Stream = reader.call("Lines", &files).await?;

    // Each instance has a process that serves it and no other.
    let mut tokenizers = Vec::new();
    let mut tables: Vec<Stream> = Vec::new();
    for part in 0..TOKENIZERS {
        let tokenizer = Agent::new("Tokenizer", context.fabric().new_id());
        processes.start("Tokenizer", Some(&tokenizer.instance))?;
        let instance = NewInstance {
            agent: tokenizer.agent.clone(),
            instance: tokenizer.instance.clone(),
            ..NewInstance::default()
        };
        context.fabric().start_instance(instance).await?;
        tables.push(tokenizer.call("Tables", (&lines, part, TOKENIZERS)).await?);
        tokenizers.push(tokenizer);
    }

    let (counter, ()) = perper::start_agent("Counter", ()).await?;
    let progress: Stream = counter.call("Count", &tables).await?;
    let bar = progress_bar(total);
    let mut counted = progress.items::<u64>();
    while let Some(lines) = counted.try_next().await? {
        bar.set_position(lines);
    }
    bar.finish_and_clear();

    let top: Stream = counter.call("Top", TOP).await?;
    let mut top = top.items::<(String, u64)>();
    let mut out = std::io::stdout().lock();
    while let Some(entry) = top.next().await {
        let (word, count) = entry?;
        writeln!(out, "{count:>7} {word}")?;
    }

    // With the instances goes what they own: the streams, the totals.
    for agent in tokenizers.iter().chain([&counter]) {
        agent.stop().await?;
    }
    lines.destroy().await?;
    processes.stop().await
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(match total {
        Some(_) => "{wide_bar} {pos}/{len} lines, {per_sec}",
        None => "{spinner} {pos} lines, {per_sec}",
    });
    ProgressBar::with_draw_target(total, target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
