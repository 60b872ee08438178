use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Agent processes that this one has started. They end with it.
pub(crate) struct Processes {
    children: Vec<Child>,
    /// A scaler starts them.
    scaled: bool,
}

impl Processes {
    /// None yet.
    pub(crate) fn own() -> Self {
        Self { children: Vec::new(), scaled: false }
    }

    /// None, ever: a scaler starts processes as instances come.
    pub(crate) fn scaled() -> Self {
        Self { children: Vec::new(), scaled: true }
    }

    /// Starts a process that serves an agent: all instances of it, or one.
    pub(crate) fn start(&mut self, agent: &str, instance: Option<&str>) -> anyhow::Result<()> {
        if self.scaled {
            return Ok(());
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--agent", agent]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        if let Some(instance) = instance {
            command.env("X_PERPER_INSTANCE", instance);
        }
        self.children.push(command.spawn()?);
        Ok(())
    }

    /// Asks all of them to finish, and waits until they have.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for child in &self.children {
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                kill_process(pid, Signal::TERM)?;
            }
        }
        for child in &mut self.children {
            child.wait().await?;
        }
        Ok(())
    }
}
