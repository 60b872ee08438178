//! Adds up tables in the state of its instance.

use std::collections::{BTreeMap, BTreeSet};

use perper::{Agent, AgentBuilder, Dictionary, Result, Stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt as _, StreamMap};

use super::tokenizer::Table;

/// Words that one change of the state writes at the most; with the place reached it must stay below the limit of 1,000
/// operations.
const WORDS: usize = 900;

pub(crate) fn agent() -> AgentBuilder {
    Agent::builder("Counter").stream("Count", count).stream("Top", top)
}

/// Adds up, and says after each change of the state how many tables are in it.
async fn count(tables: Vec<Stream>) -> impl tokio_stream::Stream<Item = Result<u64>> {
    let (sender, receiver) = mpsc::channel(16);
    perper::spawn(async move {
        if let Err(error) = add_up(tables, &sender).await {
            // Nobody to tell: the stream was destroyed meanwhile.
            let _ = sender.send(Err(error)).await;
        }
    });
    ReceiverStream::new(receiver)
}

async fn add_up(tables: Vec<Stream>, progress: &mpsc::Sender<Result<u64>>) -> Result<()> {
    let mut totals = Totals::load(tables.len()).await?;
    let mut inputs = StreamMap::new();
    for (input, stream) in tables.into_iter().enumerate() {
        inputs.insert(input, stream.replay(totals.next[input]).entries::<Table>());
    }
    while let Some((input, entry)) = inputs.next().await {
        let (number, table) = entry?;
        if totals.changed.len() + table.len() > WORDS {
            totals.save().await?;
            if progress.send(Ok(totals.added)).await.is_err() {
                return Ok(());
            }
        }
        totals.add(input, number, table);
    }
    totals.save().await?;
    // As above.
    let _ = progress.send(Ok(totals.added)).await;
    Ok(())
}

/// The totals, with the place in each input up to which they are added. Both are saved in one batch: so each line counts
/// once, however often the counter is started again.
struct Totals {
    state: Dictionary,
    words: BTreeMap<String, u64>,
    changed: BTreeSet<String>,
    next: Vec<i64>,
    added: u64,
}

/// Keys of the state: words, and what is known beside them under a key of another kind.
const ADDED: bool = true;

impl Totals {
    async fn load(inputs: usize) -> Result<Self> {
        let state = perper::state()?;
        let words = words(&state).await?;
        let mut next = Vec::with_capacity(inputs);
        for input in 0..inputs {
            next.push(state.get(input).await?.unwrap_or(0));
        }
        let added = state.get(ADDED).await?.unwrap_or(0);
        Ok(Self { state, words, changed: BTreeSet::new(), next, added })
    }

    fn add(&mut self, input: usize, number: i64, table: Table) {
        for (word, count) in table {
            *self.words.entry(word.clone()).or_default() += count;
            self.changed.insert(word);
        }
        self.next[input] = number + 1;
        self.added += 1;
    }

    async fn save(&mut self) -> Result<()> {
        let mut batch = self.state.batch().set(ADDED, &self.added);
        for (input, next) in self.next.iter().enumerate() {
            batch = batch.set(input, next);
        }
        for word in std::mem::take(&mut self.changed) {
            let total = self.words.get(&word).copied().unwrap_or_default();
            batch = batch.set(word, &total);
        }
        batch.apply().await?;
        Ok(())
    }
}

/// Keys of the state.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Key {
    Word(String),
    Other(serde::de::IgnoredAny),
}

async fn words(state: &Dictionary) -> Result<BTreeMap<String, u64>> {
    let mut words = BTreeMap::new();
    let mut entries = state.entries::<Key, u64>();
    while let Some((key, count)) = entries.try_next().await? {
        if let Key::Word(word) = key {
            words.insert(word, count);
        }
    }
    Ok(words)
}

/// The words that stand most often, the most frequent first, equal ones in order of the alphabet.
async fn top(count: usize) -> impl tokio_stream::Stream<Item = Result<(String, u64)>> {
    let top = async {
        let words = words(&perper::state()?).await?;
        let mut words: Vec<_> = words.into_iter().collect();
        words.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
        words.truncate(count);
        Ok(words)
    };
    let items: Vec<Result<(String, u64)>> = match top.await {
        Ok(words) => words.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    };
    tokio_stream::iter(items)
}
