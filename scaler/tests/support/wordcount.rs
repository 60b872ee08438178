//! The application `wordcount`, on a text that comes through a pipe. It has not counted all before the test has written
//! all: so whatever the test kills before that, it kills in mid-run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use perper::protocol::{Fabric, PageRequest};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::{OpenOptions, Sender};

use super::{PATIENCE, eventually, open_to_all};

/// Instances of the tokenizer that the application starts.
pub(crate) const TOKENIZERS: usize = 3;

/// Lines from one number to another, each with a word of its own, so that the counter has much to keep.
pub(crate) fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("the quick brown fox {} jumps\n", letters(number))).collect()
}

fn letters(mut number: u32) -> String {
    let mut word = String::from("w");
    while number > 0 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

/// The table that is to be printed: the twenty most frequent words.
pub(crate) fn top(text: &str) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    counts.iter().take(20).map(|(word, count)| format!("{count:>7} {word}\n")).collect()
}

/// A pipe that has a name, which anybody may read.
pub(crate) fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("text");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    open_to_all(&path, 0o644);
    path
}

/// The end of a pipe that is written to. Dropped, it ends the text.
pub(crate) struct Text(Sender);

impl Text {
    /// Waits until somebody reads.
    pub(crate) async fn open(path: &Path) -> Self {
        let opened = std::sync::Mutex::new(None);
        eventually("somebody reads the text", || async {
            let sender = OpenOptions::new().open_sender(path).map_err(|error| error.to_string())?;
            *opened.lock().unwrap() = Some(sender);
            Ok(())
        })
        .await;
        Text(opened.into_inner().unwrap().expect("it is open"))
    }

    pub(crate) async fn write(&mut self, text: &str) {
        tokio::time::timeout(PATIENCE, self.0.write_all(text.as_bytes())).await.expect("it is read").unwrap();
    }
}

/// Waits until each tokenizer has written its table of this line or of a later one, and gives their instances.
pub(crate) async fn tokenized(fabric: &Fabric, line: i64) -> BTreeSet<String> {
    let found = std::sync::Mutex::new(BTreeSet::new());
    eventually(&format!("all tokenizers have come to line {line}"), || async {
        let reached = reached(fabric).await.map_err(|error| error.to_string())?;
        let all = reached.len() == TOKENIZERS
            && reached.values().all(|reached| reached.is_some_and(|reached| reached >= line));
        *found.lock().unwrap() = reached.keys().cloned().collect();
        if all { Ok(()) } else { Err(format!("{reached:?}")) }
    })
    .await;
    found.into_inner().unwrap()
}

/// How far each tokenizer is.
async fn reached(fabric: &Fabric) -> perper::Result<BTreeMap<String, Option<i64>>> {
    let instances = fabric.list_instances("Tokenizer", PageRequest::default()).await?.entries;
    let mut reached: BTreeMap<_, _> =
        instances.into_iter().map(|instance| (instance.instance, None)).collect();
    for stream in fabric.list_streams(PageRequest::default()).await?.entries {
        let owner = stream.owner.and_then(|owner| reached.get_mut(&owner));
        if let Some(reached) = owner {
            *reached = stream.last_key;
        }
    }
    Ok(reached)
}
