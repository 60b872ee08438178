use perper::protocol::{NewStream, StreamOptions};

use super::bench::{Bench, connect};
use crate::{
    report::{Cost, Figure, Target, Unit},
    roles::{Measured, Role, RoleProcess},
    usage::Meter,
};

/// Messages in a frame of the echo that is the limit.
const FRAME: usize = 256;

/// What listeners may be behind before the writer waits, in bytes: enough to never run dry, little enough to keep it all
/// in memory.
const BACKLOG: usize = 64 << 20;

/// Items per second from one writer to one, ten, a hundred listeners, beside an echo in frames.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let bytes = bench.options.bytes;
    let echo = RoleProcess::start(&Role::EchoServer).await?;
    let small = bench.echo_streamed(&echo, FRAME, bytes).await?;
    let large = bench.echo_streamed(&echo, FRAME, 1024).await?;
    echo.end().await?;

    for (bytes, listeners, limit, target) in [
        (bytes, 1, &small, Some(2_000_000.0)),
        (1024, 1, &large, None),
        (bytes, 10, &small, Some(8_000_000.0)),
        (bytes, 100, &small, None),
    ] {
        let (measured, costs) = delivered(bench, bytes, listeners).await?;
        let name = format!("items of {bytes} B, 1 writer to {listeners}, deliveries");
        let figure = Figure::new(name, Unit::PerSecond, measured.rate()).limit(limit.measured.rate());
        let figure = figure.costs(&costs, &limit.costs);
        bench.add(match target {
            Some(target) => figure.target(Target::AtLeast(target)),
            None => figure,
        });
    }
    Ok(())
}

async fn delivered(bench: &Bench, bytes: usize, listeners: usize) -> anyhow::Result<(Measured, Vec<Cost>)> {
    let server = bench.start_server(&format!("items-{bytes}-{listeners}")).await?;
    let fabric = connect(&server).await?;
    let stream = fabric.new_id();
    let options = StreamOptions { backlog_items: (BACKLOG / bytes) as u64, ..StreamOptions::default() };
    fabric.create_stream(NewStream { options, ..NewStream::new(&stream) }).await?;
    let endpoint = server.endpoint();
    let role = Role::Listeners {
        endpoint: endpoint.clone(),
        stream: stream.clone(),
        count: listeners,
        window: bench.window(),
    };
    let mut listening = RoleProcess::start(&role).await?;
    let mut writer = RoleProcess::start(&Role::Writer { endpoint, stream, bytes }).await?;
    let meter =
        Meter::new([("server", server.pid()?), ("writer", writer.pid()?), ("listeners", listening.pid()?)]);
    writer.begin().await?;
    listening.begin().await?;
    let measured = listening.metered(bench.window(), &meter).await?;
    writer.end().await?;
    listening.end().await?;
    fabric.close().await?;
    server.stop().await?;
    Ok(measured)
}
