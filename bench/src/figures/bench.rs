use perper::protocol::{Fabric, Settings};
use tempfile::TempDir;

use super::{calls, idle, items, memory, state};
use crate::{
    options::Options,
    report::{Cost, Figure},
    roles::{Measured, Role, RoleProcess, Window},
    server::{Server, ServerOptions},
};

/// What nothing but tonic does.
pub(super) struct Limit {
    pub(super) measured: Measured,
    pub(super) costs: Vec<Cost>,
}

/// What the groups share.
pub(super) struct Bench {
    pub(super) options: Options,
    folder: TempDir,
    figures: Vec<Figure>,
}

/// Measures what the options ask for.
pub async fn measure(options: Options) -> anyhow::Result<Vec<Figure>> {
    let mut bench = Bench { folder: tempfile::tempdir()?, options: options.clone(), figures: Vec::new() };
    if options.wants("calls") {
        calls::measure(&mut bench).await?;
    }
    if options.wants("items") {
        items::measure(&mut bench).await?;
    }
    if options.wants("state") {
        state::measure(&mut bench).await?;
    }
    if options.wants("memory") {
        memory::measure(&mut bench).await?;
    }
    if options.wants("idle") {
        idle::measure(&mut bench).await?;
    }
    Ok(bench.figures)
}

impl Bench {
    /// A server with a folder of its own.
    pub(super) fn server(&self, name: &str) -> anyhow::Result<ServerOptions> {
        let data = self.folder.path().join(name);
        ServerOptions::new(&data, &self.options.store, &self.options.durability)
    }

    pub(super) async fn start_server(&self, name: &str) -> anyhow::Result<Server> {
        self.server(name)?.start().await
    }

    pub(super) fn window(&self) -> Window {
        Window::seconds(self.options.seconds)
    }

    pub(super) fn add(&mut self, figure: Figure) {
        eprintln!("  {}: {:.1}", figure.name, figure.measured);
        self.figures.push(figure);
    }

    /// What a role measures against the echo.
    pub(super) async fn limit(&self, role: &Role, echo: &RoleProcess) -> anyhow::Result<Limit> {
        let client = RoleProcess::start(role).await?;
        let (measured, costs) = client.measure(self.window(), "client", &[("echo", echo.pid()?)]).await?;
        Ok(Limit { measured, costs })
    }

    /// Messages through one stream of the echo, so many of them in a frame.
    pub(super) async fn echo_streamed(
        &self,
        echo: &RoleProcess,
        messages: usize,
        bytes: usize,
    ) -> anyhow::Result<Limit> {
        let role = Role::EchoStreamed {
            endpoint: echo.said().to_owned(),
            messages,
            // As many messages on their way either way, within what a connection's window holds.
            in_flight: if messages > 1 { 16 } else { 1024 },
            bytes,
            window: self.window(),
        };
        self.limit(&role, echo).await
    }
}

pub(super) async fn connect(server: &Server) -> anyhow::Result<Fabric> {
    Ok(Fabric::connect(Settings::default().with_endpoint(server.endpoint())).await?)
}
