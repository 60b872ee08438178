use std::time::{Duration, Instant};

use super::bench::{Bench, connect};
use crate::{
    report::{Figure, Target, Unit},
    usage,
};

/// The processor time of a server with one client and nothing to do.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let server = bench.start_server("idle").await?;
    let fabric = connect(&server).await?;
    // What the start leaves to do (log, checkpoint, first heartbeat) is not idleness.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pid = server.pid()?;
    let (begun, before) = (Instant::now(), usage::cpu_time(pid)?);
    tokio::time::sleep(Duration::from_secs_f64(bench.options.seconds)).await;
    let used = usage::cpu_time(pid)?.saturating_sub(before);
    let percent = used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    let figure = Figure::new("processor time of an idle server", Unit::Percent, percent);
    bench.add(figure.target(Target::AtMost(0.1)));
    fabric.close().await?;
    server.stop().await?;
    Ok(())
}
