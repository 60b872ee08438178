use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use perper::protocol::{Fabric, Item, NewStream, Reply, StreamOptions};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    load::Load,
    tally::{Found, Kind},
};

/// Batches on their way at a time.
const IN_FLIGHT: usize = 8;

/// A persistent stream that is written in batches and read behind them, by two sessions.
///
/// Batches come in the order of their numbers whatever happens between, so what is read must go on exactly where it
/// left off: batch after batch, each whole.
pub(super) struct Items {
    load: Load,
    writer: Fabric,
    reader: Fabric,
    stream: String,
    random: StdRng,
    /// Batches acknowledged.
    acknowledged: AtomicU64,
    /// First keys as acknowledged, of batches that were not read since.
    keys: Mutex<VecDeque<(u64, i64)>>,
    place: Place,
}

/// How far the reader is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The batch that comes next, or is being read.
    batch: u64,
    /// The item in it that comes next.
    index: u64,
    last_key: Option<i64>,
}

impl Items {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let (writer, reader) = (load.connect().await?, load.connect().await?);
        let stream = writer.new_id();
        let options = StreamOptions { persistent: true, ..StreamOptions::default() };
        let created = writer.create_stream(NewStream { options, ..NewStream::new(&stream) });
        load.ok(created, "creating a stream").await?;
        let random = StdRng::seed_from_u64(load.seed);
        Ok(Items {
            load,
            writer,
            reader,
            stream,
            random,
            acknowledged: AtomicU64::new(0),
            keys: Mutex::default(),
            place: Place::default(),
        })
    }

    /// Writes and reads until told to stop; all is answered then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let Items { load, writer, reader, stream, random, acknowledged, keys, place } = self;
        let writing = async {
            let mut replies = VecDeque::new();
            let mut number = 0;
            while !load.stopped() {
                let count = random.random_range(1..20_u64);
                let values: Vec<Bytes> =
                    (0..count).map(|index| load.value(&(number, index, count))).collect::<Result<_, _>>()?;
                replies.push_back((number, writer.write_items(stream.clone(), Bytes::new(), values)));
                number += 1;
                if replies.len() >= IN_FLIGHT {
                    settle(load, &mut replies, acknowledged, keys).await?;
                }
            }
            while !replies.is_empty() {
                settle(load, &mut replies, acknowledged, keys).await?;
            }
            Ok(())
        };
        let reading = async {
            while !load.stopped() {
                let seen = load.tally().counts()[Kind::Batch as usize];
                read(load, reader, stream, place, acknowledged, keys).await?;
                tokio::select! {
                    () = load.tally().more(Kind::Batch, seen) => {}
                    () = load.stop() => {}
                }
            }
            Ok(())
        };
        tokio::try_join!(writing, reading).map(|_| ())
    }

    /// Reads what is left, to the very end.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        let Items { load, reader, stream, acknowledged, keys, place, .. } = self;
        read(load, reader, stream, place, acknowledged, keys).await?;
        let left = keys.get_mut().unwrap_or_else(PoisonError::into_inner).len();
        if left > 0 {
            return Err(load.tally().lost(format!("{left} acknowledged batches are not in stream {stream}")));
        }
        Ok(())
    }
}

async fn settle(
    load: &Load,
    replies: &mut VecDeque<(u64, Reply<i64>)>,
    acknowledged: &AtomicU64,
    keys: &Mutex<VecDeque<(u64, i64)>>,
) -> Result<(), Found> {
    let Some((number, reply)) = replies.pop_front() else { return Ok(()) };
    let key = load.ok(reply, "writing items").await?;
    keys.lock().unwrap_or_else(PoisonError::into_inner).push_back((number, key));
    acknowledged.store(number + 1, Ordering::Release);
    load.tally().acknowledge(Kind::Batch);
    Ok(())
}

/// Reads from the place to the end. What was acknowledged before must be there.
async fn read(
    load: &Load,
    reader: &Fabric,
    stream: &str,
    place: &mut Place,
    acknowledged: &AtomicU64,
    keys: &Mutex<VecDeque<(u64, i64)>>,
) -> Result<(), Found> {
    let due = acknowledged.load(Ordering::Acquire);
    loop {
        let from = place.last_key.map(|key| key + 1);
        let page = load.ok(reader.read_items(stream, from, 0), "reading items").await?;
        let mut came = false;
        for item in page.batches.into_iter().flatten() {
            came = true;
            check(load, stream, place, keys, &item)?;
        }
        if !came {
            break;
        }
    }
    if place.batch < due || place.index > 0 {
        let text = format!(
            "stream {stream} ends at {place:?}, though batch {} was acknowledged",
            due.saturating_sub(1)
        );
        return Err(load.tally().lost(text));
    }
    Ok(())
}

fn check(
    load: &Load,
    stream: &str,
    place: &mut Place,
    keys: &Mutex<VecDeque<(u64, i64)>>,
    item: &Item,
) -> Result<(), Found> {
    let (batch, index, count): (u64, u64, u64) = load.read(&item.value, "an item")?;
    let text = || format!("stream {stream} has item {index} of batch {batch} at {place:?}, key {}", item.key);
    if (batch, index) < (place.batch, place.index) {
        return Err(load.tally().duplicated(text()));
    }
    if (batch, index) > (place.batch, place.index) {
        return Err(load.tally().lost(text()));
    }
    if place.last_key.is_some_and(|last| item.key <= last) {
        return Err(load.tally().wrong(text()));
    }
    if index == 0 {
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        // Answers may come after what they answer has been read; then there is nothing to compare with yet.
        while keys.front().is_some_and(|(number, _)| *number <= batch) {
            let Some((number, key)) = keys.pop_front() else { break };
            if number == batch && key != item.key {
                let text = format!("{}, which was acknowledged with key {key}", text());
                return Err(load.tally().wrong(text));
            }
        }
    }
    place.last_key = Some(item.key);
    (place.batch, place.index) = if index + 1 == count { (batch + 1, 0) } else { (batch, index + 1) };
    Ok(())
}
