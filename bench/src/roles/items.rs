use std::time::Instant;

use perper::protocol::{ListenFrom, ListenerOptions, WriterOptions};
use tokio::task::JoinSet;

use super::{Measured, Window, calls::connect, process::Parent};
use crate::values;

/// Items written between two looks at whether to go on.
const ROUND: usize = 256;

pub(super) async fn write(
    parent: &mut Parent,
    endpoint: &str,
    stream: String,
    bytes: usize,
) -> anyhow::Result<()> {
    let fabric = connect(endpoint).await?;
    let item = values::sized(bytes)?;
    let writer = fabric.writer(WriterOptions::new(stream));
    parent.begin().await?;
    let writing = async {
        loop {
            for _ in 0..ROUND {
                writer.write(&item).await?;
            }
            // Writing that never has to wait would keep the runtime from its other tasks.
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = writing => {
            let outcome: anyhow::Result<()> = outcome;
            outcome?;
        }
        () = parent.end() => {}
    }
    fabric.close().await?;
    Ok(())
}

pub(super) async fn listen(
    parent: &mut Parent,
    endpoint: &str,
    stream: &str,
    count: usize,
    window: Window,
) -> anyhow::Result<()> {
    let fabric = connect(endpoint).await?;
    let mut listeners = Vec::with_capacity(count);
    for _ in 0..count {
        let options = ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new(stream) };
        let mut listener = fabric.attach_listener(options);
        listener.attached().await?;
        listeners.push(listener);
    }
    parent.begin().await?;
    let window = window.open();
    let mut counters = JoinSet::new();
    for mut listener in listeners {
        counters.spawn(async move {
            let mut count = 0;
            while let Some(batch) = listener.next_batch().await? {
                // Each item is looked at, as a program would.
                let items = batch.inspect(|item| {
                    std::hint::black_box(item);
                });
                let came = items.count() as u64;
                let now = Instant::now();
                if window.counts(now) {
                    count += came;
                } else if window.is_over(now) {
                    break;
                }
            }
            anyhow::Ok((count, listener))
        });
    }
    let mut sum = 0;
    let mut listeners = Vec::with_capacity(count);
    while let Some(counter) = counters.join_next().await {
        let (count, listener) = counter??;
        sum += count;
        listeners.push(listener);
    }
    parent.measured(&Measured::counted(sum, window.length()))?;
    // They stay until the writer has stopped: to a stream without listeners it could not write any more.
    parent.end().await;
    drop(listeners);
    fabric.close().await?;
    Ok(())
}
