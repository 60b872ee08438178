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

async fn count(files: Vec<String>) -> std::io::Result<u64> {
    let mut lines = Lines::new(files);
    let mut count = 0;
    while lines.next().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

async fn lines(files: Vec<String>) -> impl tokio_stream::Stream<Item = std::io::Result<String>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1024);
    // The channel bounds how far reading runs ahead of writing.
    tokio::spawn(async move {
        let mut lines = Lines::new(files);
        while let Some(line) = lines.next().await.transpose() {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
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
            let file =
                File::open(&name).await.map_err(|error| std::io::Error::other(format!("{name}: {error}")))?;
            self.open = Some(BufReader::new(file));
        }
    }
}
