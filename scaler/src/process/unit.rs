//! One agent process.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::keeper::{self, Keeper};
use super::leftovers::MARK;
use super::output::Output;
use super::template::Program;
use crate::model::Unit;
use crate::{Error, Result};

/// What processes have in common.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// The Scaler's own binary, which has the keeper and the launcher in it.
    pub(super) binary: std::path::PathBuf,
    pub(super) keeper: Keeper,
    pub(super) output: Output,
    /// By which a later Scaler knows what this one has started.
    pub(super) mark: String,
    /// Variables that tell agents where the Fabric is.
    pub(super) fabric: Vec<(String, String)>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) status: ExitStatus,
    pub(super) ran_for: std::time::Duration,
}

/// Starts a process. It leads a group of its own.
pub(super) fn spawn(unit: &Unit, program: &Program, surroundings: &Surroundings) -> Result<Child> {
    let failed = |error: std::io::Error| Error::backend(format!("the process of {unit}"), error);
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let keeper = surroundings.keeper.announcement(&surroundings.binary).map_err(failed)?;
    let mut command = command(program, &surroundings.binary);
    command
        .current_dir(&program.folder)
        .envs(surroundings.fabric.iter().map(|(name, value)| (name, value)))
        .envs(&program.environment)
        .env(MARK, &surroundings.mark)
        .env("X_PERPER_AGENT", unit.agent())
        .env_remove("X_PERPER_INSTANCE")
        .stdin(Stdio::from(keeper))
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .process_group(0);
    if let Unit::Instance { instance, .. } = unit {
        command.env("X_PERPER_INSTANCE", instance);
    }
    let child = command.spawn().map_err(|error| {
        // The launcher is always there; a folder may not be.
        let message = format!("{error} (in the folder {})", program.folder.display());
        Error::backend(format!("the process of {unit}"), message)
    })?;
    if let Some(group) = group(&child) {
        surroundings.keeper.add(group.as_raw_nonzero().get());
    }
    let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    surroundings.output.copy(unit, reader);
    Ok(child)
}

fn command(program: &Program, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg(keeper::LAUNCH).args(&program.command);
    // What steers the Scaler is nothing to agents.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PERPER_SCALER_")) {
            command.env_remove(name);
        }
    }
    command
}

fn group(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
}

/// Waits for a process to end, and sees to it that it does once it has been told to. Whatever it has started and left
/// behind ends with it.
pub(super) async fn attend(
    mut child: Child,
    program: &Program,
    stop: CancellationToken,
    surroundings: Arc<Surroundings>,
) -> std::io::Result<End> {
    let begin = Instant::now();
    let group = group(&child);
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => {
            if let Some(group) = group {
                // A group without members has ended just now.
                let _ = kill_process_group(group, Signal::TERM);
            }
            match tokio::time::timeout(program.grace, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    tracing::warn!(
                        command = program.command.first(),
                        grace = ?program.grace,
                        "a process did not end when it was told to; killing it"
                    );
                    kill(group);
                    child.wait().await
                }
            }
        }
    };
    // The number stays taken while the group has members, and is not given out again so soon when it has none.
    kill(group);
    if let Some(group) = group {
        surroundings.keeper.remove(group.as_raw_nonzero().get());
    }
    Ok(End { status: status?, ran_for: begin.elapsed() })
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        keeper::kill_group(group.as_raw_nonzero().get());
    }
}
