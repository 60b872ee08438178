use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
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
    // A plain mutex: held for a look.
    first_keys: Mutex<FirstKeys>,
    place: Place,
}

/// The first keys of batches that were acknowledged or read, but not both yet: each comes from two sides, and an answer
/// may arrive after what it answers has been read.
#[derive(Debug, Default)]
struct FirstKeys {
    acknowledged: VecDeque<(u64, i64)>,
    read: VecDeque<(u64, i64)>,
}

impl FirstKeys {
    /// A batch was acknowledged with that key; an error is the key that was read for it, if that is another.
    fn acknowledge(&mut self, batch: u64, key: i64) -> Result<(), i64> {
        Self::meet(&mut self.read, &mut self.acknowledged, batch, key)
    }

    /// A batch was read from that key on; an error is the key that it was acknowledged with, if that is another.
    fn read(&mut self, batch: u64, key: i64) -> Result<(), i64> {
        Self::meet(&mut self.acknowledged, &mut self.read, batch, key)
    }

    /// Both sides tell batches in order and leave none out, so the other side's first is the one, or it has not come.
    fn meet(
        others: &mut VecDeque<(u64, i64)>,
        own: &mut VecDeque<(u64, i64)>,
        batch: u64,
        key: i64,
    ) -> Result<(), i64> {
        let Some((_, other)) = others.front().copied().filter(|(other, _)| *other == batch) else {
            own.push_back((batch, key));
            return Ok(());
        };
        others.pop_front();
        if other == key { Ok(()) } else { Err(other) }
    }
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
            first_keys: Mutex::default(),
            place: Place::default(),
        })
    }

    /// Writes and reads until told to stop; all is answered then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let Items { load, writer, reader, stream, random, acknowledged, first_keys, place } = self;
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
                    settle(load, &mut replies, acknowledged, first_keys).await?;
                }
            }
            while !replies.is_empty() {
                settle(load, &mut replies, acknowledged, first_keys).await?;
            }
            Ok(())
        };
        let reading = async {
            while !load.stopped() {
                let seen = load.tally().counts()[Kind::Batch as usize];
                read(load, reader, stream, place, acknowledged, first_keys).await?;
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
        let Items { load, reader, stream, acknowledged, first_keys, place, .. } = self;
        read(load, reader, stream, place, acknowledged, first_keys).await?;
        let FirstKeys { acknowledged, read } = &*lock(first_keys);
        if let Some((batch, key)) = acknowledged.front() {
            let (count, text) = (acknowledged.len(), format!("batch {batch} at key {key}"));
            return Err(load
                .tally()
                .lost(format!("{count} batches are not in stream {stream}, first {text}")));
        }
        if let Some((batch, key)) = read.front() {
            let text =
                format!("stream {stream} has batch {batch} at key {key}, which was never acknowledged");
            return Err(load.tally().wrong(text));
        }
        Ok(())
    }
}

fn lock(first_keys: &Mutex<FirstKeys>) -> MutexGuard<'_, FirstKeys> {
    first_keys.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn settle(
    load: &Load,
    replies: &mut VecDeque<(u64, Reply<i64>)>,
    acknowledged: &AtomicU64,
    first_keys: &Mutex<FirstKeys>,
) -> Result<(), Found> {
    let Some((number, reply)) = replies.pop_front() else { return Ok(()) };
    let key = load.ok(reply, "writing items").await?;
    if let Err(read) = lock(first_keys).acknowledge(number, key) {
        let text = format!("batch {number} was acknowledged with key {key}, but read from key {read} on");
        return Err(load.tally().wrong(text));
    }
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
    first_keys: &Mutex<FirstKeys>,
) -> Result<(), Found> {
    let due = acknowledged.load(Ordering::Acquire);
    loop {
        let from = place.last_key.map(|key| key + 1);
        let page = load.ok(reader.read_items(stream, from, 0), "reading items").await?;
        let mut came = false;
        for item in page.batches.into_iter().flatten() {
            came = true;
            check(load, stream, place, first_keys, &item)?;
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
    first_keys: &Mutex<FirstKeys>,
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
    if index == 0
        && let Err(key) = lock(first_keys).read(batch, item.key)
    {
        let text = format!("{}, which was acknowledged with key {key}", text());
        return Err(load.tally().wrong(text));
    }
    place.last_key = Some(item.key);
    (place.batch, place.index) = if index + 1 == count { (batch + 1, 0) } else { (batch, index + 1) };
    Ok(())
}
