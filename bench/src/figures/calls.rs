use super::bench::{Bench, Limit};
use crate::{
    report::{Cost, Figure, Target, Unit},
    roles::{Latency, Measured, Role, RoleProcess},
};

const AGENT: &str = "Bench";

/// Calls per second and their latency, beside a unary echo with as many in flight.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let bytes = bench.options.bytes;
    let mut limits = Vec::new();
    let echo = RoleProcess::start(&Role::EchoServer).await?;
    let endpoint = echo.said().to_owned();
    for in_flight in [1, 16, 256] {
        let role = Role::EchoUnary { endpoint: endpoint.clone(), in_flight, bytes, window: bench.window() };
        limits.push((in_flight, bench.limit(&role, &echo).await?));
    }
    let pipelined = bench.echo_streamed(&echo, 1, bytes).await?;
    echo.end().await?;

    let server = bench.start_server("calls").await?;
    let endpoint = server.endpoint();
    let worker = Role::Worker { endpoint: endpoint.clone(), agent: AGENT.to_owned() };
    let worker = RoleProcess::start(&worker).await?;
    for (in_flight, limit) in limits {
        let role = Role::Caller {
            endpoint: endpoint.clone(),
            agent: AGENT.to_owned(),
            in_flight,
            bytes,
            window: bench.window(),
        };
        let others = [("server", server.pid()?), ("worker", worker.pid()?)];
        let caller = RoleProcess::start(&role).await?;
        let (measured, costs) = caller.measure(bench.window(), "caller", &others).await?;
        for figure in figures(in_flight, &measured, &costs, &limit) {
            bench.add(figure);
        }
    }
    let figure =
        Figure::new("pipelined echo, one message a frame", Unit::PerSecond, pipelined.measured.rate());
    bench.add(figure.costs(&pipelined.costs, &[]));
    worker.end().await?;
    server.stop().await?;
    Ok(())
}

fn figures(in_flight: usize, measured: &Measured, costs: &[Cost], limit: &Limit) -> Vec<Figure> {
    let latency = |measured: &Measured| measured.latency.unwrap_or_default();
    let (ours, theirs) = (latency(measured), latency(&limit.measured));
    let time = |name: &str, part: fn(Latency) -> f64| {
        let name = format!("call, {in_flight} in flight, {name}");
        Figure::new(name, Unit::Microseconds, part(ours)).limit(part(theirs))
    };
    let mut rate = Figure::new(format!("calls, {in_flight} in flight"), Unit::PerSecond, measured.rate())
        .limit(limit.measured.rate())
        .costs(costs, &limit.costs);
    let mut p50 = time("p50", |latency| latency.p50);
    match in_flight {
        1 => p50 = p50.target(Target::RatioAtMost(3.0)),
        256 => rate = rate.target(Target::RatioAtLeast(1.5)),
        _ => {}
    }
    vec![rate, p50, time("p99", |latency| latency.p99)]
}
