use super::bench::Bench;
use crate::{
    report::{Figure, Target, Unit},
    roles::{Role, RoleProcess},
};

/// Operations on their way at a time.
const IN_FLIGHT: usize = 1_024;
const KEYS: u64 = 10_000;

/// Operations of a dictionary and a list per second, pipelined, beside a pipelined echo.
pub(super) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let bytes = bench.options.bytes;
    let echo = RoleProcess::start(&Role::EchoServer).await?;
    let limit = bench.echo_streamed(&echo, 1, bytes).await?;
    echo.end().await?;

    let server = bench.start_server("state").await?;
    for set in [true, false] {
        let role = Role::Dictionary {
            endpoint: server.endpoint(),
            dictionary: "bench".to_owned(),
            set,
            in_flight: IN_FLIGHT,
            keys: KEYS,
            bytes,
            window: bench.window(),
        };
        let client = RoleProcess::start(&role).await?;
        let (measured, costs) =
            client.measure(bench.window(), "client", &[("server", server.pid()?)]).await?;
        let name = if set { "dictionary, set" } else { "dictionary, get" };
        let figure = Figure::new(name, Unit::PerSecond, measured.rate()).limit(limit.measured.rate());
        let figure = figure.costs(&costs, &limit.costs);
        bench.add(figure.target(Target::AtLeast(100_000.0)));
    }
    let role = Role::List {
        endpoint: server.endpoint(),
        list: "bench".to_owned(),
        in_flight: IN_FLIGHT,
        bytes,
        window: bench.window(),
    };
    let client = RoleProcess::start(&role).await?;
    let (measured, costs) = client.measure(bench.window(), "client", &[("server", server.pid()?)]).await?;
    let figure = Figure::new("list, add", Unit::PerSecond, measured.rate()).limit(limit.measured.rate());
    bench.add(figure.costs(&costs, &limit.costs));
    server.stop().await?;
    Ok(())
}
