use std::{collections::VecDeque, future::Future};

use perper::protocol::{ListenFrom, ListenerOptions, NewExecution, NewStream, StreamOptions, WriterOptions};

use super::bench::{Bench, connect};
use crate::{
    report::{Figure, Target, Unit},
    usage, values,
};

const MIB: f64 = 1024.0 * 1024.0;

/// Memory and recovery with many executions, many streams, and a listener that does not read.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    pending_executions(bench).await?;
    idle_streams(bench).await?;
    slow_listener(bench).await
}

/// Keeps a window of requests on their way.
async fn pipelined<F, T>(count: u64, mut request: impl FnMut(u64) -> F) -> anyhow::Result<()>
where
    F: Future<Output = perper::Result<T>>,
{
    let mut replies = VecDeque::new();
    for number in 0..count {
        replies.push_back(request(number));
        if replies.len() >= 1_024
            && let Some(reply) = replies.pop_front()
        {
            reply.await?;
        }
    }
    for reply in replies {
        reply.await?;
    }
    Ok(())
}

async fn pending_executions(bench: &mut Bench) -> anyhow::Result<()> {
    let count = bench.options.executions;
    let scale = count as f64 / 1_000_000.0;
    let options = bench.server("executions")?;
    let server = options.start().await?;
    let fabric = connect(&server).await?;
    let argument = values::sized(bench.options.bytes)?;
    pipelined(count, |_| {
        fabric.create_execution(NewExecution {
            agent: "Pending".to_owned(),
            delegate: "Wait".to_owned(),
            arguments: vec![argument.clone()],
            ..NewExecution::new(fabric.new_id())
        })
    })
    .await?;
    let resident = usage::resident_bytes(server.pid()?)? as f64;
    let name = format!("{count} pending executions, resident");
    bench.add(Figure::new(name, Unit::Bytes, resident).target(Target::AtMost(1024.0 * MIB * scale.max(0.1))));
    fabric.close().await?;
    if bench.options.durability == "memory" {
        server.stop().await?;
        return Ok(());
    }

    // As after a crash: nothing was put in order before.
    server.kill().await?;
    let server = options.start().await?;
    let recovery = server.started_in().as_secs_f64();
    let name = format!("{count} pending executions, restart after kill -9");
    bench.add(Figure::new(name, Unit::Seconds, recovery).target(Target::AtMost(10.0)));
    let resident = usage::resident_bytes(server.pid()?)? as f64;
    let name = format!("{count} pending executions, resident after the restart");
    bench.add(Figure::new(name, Unit::Bytes, resident).target(Target::AtMost(1024.0 * MIB * scale.max(0.1))));
    server.kill().await
}

async fn idle_streams(bench: &mut Bench) -> anyhow::Result<()> {
    let count = bench.options.streams;
    let server = bench.start_server("streams").await?;
    let fabric = connect(&server).await?;
    // The first ones bring caches and buffers that do not grow with the number.
    let first = count / 10;
    let create = |_| fabric.create_stream(NewStream::new(fabric.new_id()));
    pipelined(first, create).await?;
    let before = usage::resident_bytes(server.pid()?)?;
    pipelined(count - first, create).await?;
    let after = usage::resident_bytes(server.pid()?)?;
    let each = (after as f64 - before as f64) / (count - first).max(1) as f64;
    let name = format!("an idle stream among {count}, resident");
    bench.add(Figure::new(name, Unit::Bytes, each).target(Target::AtMost(1024.0)));
    fabric.close().await?;
    server.kill().await
}

async fn slow_listener(bench: &mut Bench) -> anyhow::Result<()> {
    let server = bench.start_server("slow").await?;
    let fabric = connect(&server).await?;
    let slow = connect(&server).await?;
    let stream = fabric.new_id();
    let options = StreamOptions { persistent: true, ..StreamOptions::default() };
    fabric.create_stream(NewStream { options, ..NewStream::new(&stream) }).await?;
    let options = ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new(&stream) };
    let mut listener = slow.attach_listener(options);
    listener.attached().await?;

    let item = values::sized(1024)?;
    let items = bench.options.written / 1024;
    let writer = fabric.writer(WriterOptions::new(&stream));
    // A quarter fills the listener's credit and what caches there are; only the rest is to leave no trace.
    let mut before = 0;
    for number in 0..items {
        if number == items / 4 {
            writer.flush().await?;
            before = usage::resident_bytes(server.pid()?)?;
        }
        writer.write(&item).await?;
    }
    writer.flush().await?;
    let after = usage::resident_bytes(server.pid()?)?;
    let grown = after as f64 - before as f64;
    let written = (bench.options.written * 3 / 4) as f64;
    let name = format!("growth while {:.0} MiB pass a listener that does not read", written / MIB);
    bench.add(Figure::new(name, Unit::Bytes, grown).target(Target::AtMost((written / 10.0).max(64.0 * MIB))));
    drop(listener);
    slow.close().await?;
    fabric.close().await?;
    server.kill().await
}
