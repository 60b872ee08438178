//! Reads lines.

use perper::protocol::StreamOptions;
use perper::{Agent, AgentBuilder, GeneratorOptions};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, BufReader};

pub(crate) fn agent() -> AgentBuilder {
    // Persistent, so that each tokenizer can begin at the beginning whenever it comes; packed, so that keys are line
    // numbers.
    let options = GeneratorOptions {
        stream: StreamOptions { persistent: true, stride: 1, ..StreamOptions::default() },
        // Reading again gives the same lines: what the stream has already is skipped.
        resume: perper::Resume::Skip,
    };
    Agent::builder("Reader").delegate("Count", count).stream_with("Lines", options, lines)
}

/// Text, or what stands in its place: words are ASCII, so whatever else a file holds only separates them.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// How many lines there are, where that can be told beforehand: what comes through a pipe can be read only once.
async fn count(files: Vec<String>) -> std::io::Result<Option<u64>> {
    if pipe_among(&files).await?.is_some() {
        return Ok(None);
    }
    let mut lines = Lines::new(files);
    let mut count = 0;
    while lines.next().await?.is_some() {
        count += 1;
    }
    Ok(Some(count))
}

/// The first that is no plain file.
async fn pipe_among(files: &[String]) -> std::io::Result<Option<&str>> {
    for name in files {
        let metadata = tokio::fs::metadata(name).await.map_err(|error| named(name, &error))?;
        if !metadata.is_file() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn named(file: &str, error: &dyn std::fmt::Display) -> std::io::Error {
    std::io::Error::other(format!("{file}: {error}"))
}

async fn lines(files: Vec<String>) -> impl tokio_stream::Stream<Item = std::io::Result<String>> {
    // Whoever did this before is gone, and with it what it had read.
    let repeated = perper::context().is_ok_and(|context| context.attempt() > Some(1));
    let (sender, receiver) = tokio::sync::mpsc::channel(1024);
    // The channel bounds how far reading runs ahead of writing.
    tokio::spawn(async move {
        if repeated && let Err(refusal) = check_again(&files).await {
            // Nobody to tell: the stream was destroyed meanwhile.
            let _ = sender.send(Err(refusal)).await;
            return;
        }
        let mut lines = Lines::new(files);
        while let Some(line) = lines.next().await.transpose() {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// Refuses what cannot be read from its beginning once more.
async fn check_again(files: &[String]) -> std::io::Result<()> {
    match pipe_among(files).await? {
        None => Ok(()),
        Some(pipe) => Err(named(pipe, &"the reader was restarted, and what it had read of a pipe is gone")),
    }
}

/// The lines of files, one after the other.
struct Lines {
    files: std::vec::IntoIter<String>,
    open: Option<BufReader<File>>,
}

impl Lines {
    fn new(files: Vec<String>) -> Self {
        Self { files: files.into_iter(), open: None }
    }

    async fn next(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(file) = &mut self.open {
                let mut line = Vec::new();
                if file.read_until(b'\n', &mut line).await? > 0 {
                    return Ok(Some(text(&line)));
                }
            }
            let Some(name) = self.files.next() else { return Ok(None) };
            let file = File::open(&name).await.map_err(|error| named(&name, &error))?;
            self.open = Some(BufReader::new(file));
        }
    }
}
