//! Counts the words of lines.

use std::collections::BTreeMap;

use perper::{Agent, AgentBuilder, Result, Stream};
use tokio_stream::StreamExt as _;

/// How often each word stands in a line.
pub(crate) type Table = BTreeMap<String, u64>;

pub(crate) fn agent() -> AgentBuilder {
    Agent::builder("Tokenizer").stream("Tables", tables)
}

/// The tables of every `parts`-th line, under the number of the line: so that whoever does this again after a crash
/// writes nothing twice.
async fn tables(
    lines: Stream,
    part: i64,
    parts: i64,
) -> impl tokio_stream::Stream<Item = Result<(i64, Table)>> {
    lines
        .replay_all()
        .entries::<String>()
        .filter(move |entry| entry.as_ref().map_or(true, |(number, _)| number % parts == part))
        .map(|entry| entry.map(|(number, line)| (number, count(&line))))
}

fn count(line: &str) -> Table {
    let mut table = Table::new();
    for word in line.split(|character: char| !character.is_ascii_alphabetic()).filter(|word| !word.is_empty())
    {
        *table.entry(word.to_ascii_lowercase()).or_default() += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_ascii_letters_in_lower_case() {
        let expected = [("a", 2), ("don", 1), ("na", 1), ("t", 1), ("ve", 1)];
        let expected = expected.map(|(word, count)| (word.to_owned(), count));
        assert_eq!(count("A 1 a, naïve: don't"), expected.into());
    }
}
