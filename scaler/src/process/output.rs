//! What agent processes write, line by line, with who wrote it in front.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use crate::model::Unit;

/// A longer line is told in pieces.
const LINE: usize = 64 << 10;
/// Lines that wait for whoever reads our own output. When there are more, the agents wait.
const WAITING: usize = 1024;
/// How long the last lines may take on their way.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Letters of an instance's id that are enough to tell it from others, for a person.
const SHORT: usize = 8;
/// Colours that can be read on light and on dark ground.
const COLOURS: [u8; 6] = [32, 33, 34, 35, 36, 31];

/// How lines are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in colours.
    Coloured,
    /// For people.
    Plain,
    /// An object for each line.
    Json,
}

impl Format {
    /// The one for people, in colours if standard output is a terminal.
    pub fn text() -> Self {
        if io::stdout().is_terminal() { Format::Coloured } else { Format::Plain }
    }
}

/// Where lines go: to standard output, through a thread that may wait for it.
#[derive(Debug)]
pub struct Output {
    format: Format,
    writing: Mutex<Option<Writing>>,
}

#[derive(Debug)]
struct Writing {
    lines: mpsc::Sender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Output {
    /// Begins to write.
    pub fn start(format: Format) -> Self {
        let (lines, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let thread = std::thread::spawn(move || {
            while let Some(line) = waiting.blocking_recv() {
                // Whoever closed our output does not want to know; the agents go on.
                let _ = io::stdout().lock().write_all(&line);
            }
        });
        Output { format, writing: Mutex::new(Some(Writing { lines, thread })) }
    }

    /// Copies what a unit writes until that ends.
    pub(super) fn copy(&self, unit: &Unit, from: impl AsyncRead + Unpin + Send + 'static) {
        if let Some(writing) = self.writing.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            tokio::spawn(copy(from, Prefix::new(unit, self.format), writing.lines.clone()));
        }
    }

    /// Writes what is left of processes that have ended.
    pub(super) async fn finish(&self) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writing { lines, thread }) = writing {
            drop(lines);
            // Someone that a process started, and that left its group, may still hold the other end.
            let joined = tokio::task::spawn_blocking(move || thread.join());
            let _ = tokio::time::timeout(LAST_LINES, joined).await;
        }
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, prefix: Prefix, lines: mpsc::Sender<Vec<u8>>) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let read = from.read_buf(&mut buffer).await;
        while let Some(length) = line(&buffer) {
            let told = prefix.line(&buffer[..length]);
            buffer.drain(..length);
            if lines.send(told).await.is_err() {
                return;
            }
        }
        if !matches!(read, Ok(1..)) {
            break;
        }
    }
    if !buffer.is_empty() {
        let _ = lines.send(prefix.line(&buffer)).await;
    }
}

/// The length of the first line, with its end, if it is there as a whole.
fn line(buffer: &[u8]) -> Option<usize> {
    let end = buffer.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
    end.or((buffer.len() >= LINE).then_some(LINE)).map(|length| length.min(LINE))
}

struct Prefix {
    format: Format,
    /// The beginning of each line.
    text: String,
}

impl Prefix {
    fn new(unit: &Unit, format: Format) -> Self {
        let name = match unit {
            Unit::Instance { agent, instance, .. } => {
                // Ids that a library makes begin alike and end with a number.
                let letters: Vec<char> = instance.chars().collect();
                let short: String = letters[letters.len().saturating_sub(SHORT)..].iter().collect();
                format!("{agent}/{short}")
            }
            Unit::Replica { agent, number } => format!("{agent}[{number}]"),
        };
        let text = match format {
            Format::Plain => format!("{name} | "),
            Format::Coloured => {
                let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&name);
                let colour = COLOURS[(hash % COLOURS.len() as u64) as usize];
                format!("\x1b[{colour}m{name} |\x1b[0m ")
            }
            Format::Json => {
                let mut fields = serde_json::Map::new();
                fields.insert("agent".to_owned(), unit.agent().into());
                if let Unit::Instance { instance, incarnation, .. } = unit {
                    fields.insert("instance".to_owned(), instance.as_str().into());
                    fields.insert("incarnation".to_owned(), (*incarnation).into());
                }
                let object = serde_json::Value::Object(fields).to_string();
                format!("{},\"line\":", object.trim_end_matches('}'))
            }
        };
        Prefix { format, text }
    }

    fn line(&self, line: &[u8]) -> Vec<u8> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut told = self.text.clone().into_bytes();
        match self.format {
            Format::Plain | Format::Coloured => told.extend_from_slice(line),
            Format::Json => {
                let line = serde_json::Value::from(String::from_utf8_lossy(line));
                told.extend_from_slice(line.to_string().as_bytes());
                told.push(b'}');
            }
        }
        told.push(b'\n');
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        Unit::Instance {
            agent: "A".into(),
            instance: "0123456789-ab".into(),
            incarnation: 2,
            cluster: "c".into(),
        }
    }

    async fn told(text: &[u8], format: Format) -> Vec<String> {
        let (sender, mut lines) = mpsc::channel(16);
        copy(text, Prefix::new(&unit(), format), sender).await;
        let mut told = Vec::new();
        while let Some(line) = lines.recv().await {
            told.push(String::from_utf8(line).unwrap());
        }
        told
    }

    #[tokio::test]
    async fn each_line_says_who_wrote_it() {
        assert_eq!(
            told(b"one\n\ntwo\nend", Format::Plain).await,
            ["A/56789-ab | one\n", "A/56789-ab | \n", "A/56789-ab | two\n", "A/56789-ab | end\n"]
        );
    }

    #[tokio::test]
    async fn json_stays_json() {
        let told = told(b"a \"b\" \xff\n", Format::Json).await;
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with('\n'), "{told:?}");
        // In whatever order: that is a feature of serde_json, which anybody in the build may have asked for.
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&told[0]).unwrap(),
            serde_json::json!({
                "agent": "A", "instance": "0123456789-ab", "incarnation": 2, "line": "a \"b\" \u{fffd}"
            })
        );
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_told_in_pieces() {
        let told = told(&[b'x'; LINE + 1], Format::Plain).await;
        assert_eq!(
            told.iter().map(|line| line.len() - "A/56789-ab | \n".len()).collect::<Vec<_>>(),
            [LINE, 1]
        );
    }
}
