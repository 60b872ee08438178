use perper::protocol::{Fabric, Settings};
use tempfile::TempDir;

use super::{calls, idle, items, memory, state};
use crate::{
    options::Options,
    report::Figure,
    roles::{Role, RoleProcess, Window},
    server::{Server, ServerOptions},
};

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

    /// Messages per second through one stream of the echo, so many of them in a frame.
    pub(super) async fn echo_streamed(
        &self,
        endpoint: &str,
        messages: usize,
        bytes: usize,
    ) -> anyhow::Result<f64> {
        let role = Role::EchoStreamed {
            endpoint: endpoint.to_owned(),
            messages,
            // As many messages on their way either way, within what a connection's window holds.
            in_flight: if messages > 1 { 16 } else { 1024 },
            bytes,
            window: self.window(),
        };
        Ok(RoleProcess::start(&role).await?.measure().await?.rate())
    }
}

pub(super) async fn connect(server: &Server) -> anyhow::Result<Fabric> {
    Ok(Fabric::connect(Settings::default().with_endpoint(server.endpoint())).await?)
}
