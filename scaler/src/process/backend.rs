//! Units as children of this process.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::leftovers;
use super::output::Output;
use super::template::{Program, Programs};
use super::unit::{self, Surroundings};
use crate::backend::Backend;
use crate::model::{Actual, Templates, Unit, UnitState};
use crate::names;
use crate::reconciler::Report;
use crate::{Error, Result};

/// What the back-end has to know.
#[derive(Debug)]
pub struct Settings {
    /// How agents are run.
    pub programs: Programs,
    /// What tells one Scaler on a machine from another: the file and the Fabric, say. Two with the same would kill each
    /// other's processes, so the second does not start.
    pub identity: String,
    /// Variables that tell agents where the Fabric is.
    pub fabric: Vec<(String, String)>,
    /// The binary `perper-scaler`.
    pub binary: PathBuf,
    /// Where what agents write goes.
    pub output: Output,
}

/// Runs units as children.
#[derive(Debug)]
pub struct Process {
    programs: Programs,
    surroundings: Arc<Surroundings>,
    shared: Arc<Shared>,
    /// Held as long as this Scaler lives.
    _lock: File,
}

#[derive(Debug)]
struct Shared {
    // A std mutex: held to look at or change a map, and never across an await.
    entries: Mutex<BTreeMap<Unit, Entry>>,
    changed: Notify,
    /// How many processes there are.
    alive: watch::Sender<usize>,
}

#[derive(Debug)]
struct Entry {
    state: UnitState,
    stop: CancellationToken,
}

impl Process {
    /// Clears away what a Scaler before this one left, and is ready.
    pub fn start(settings: Settings) -> Result<Self> {
        let mark = names::text_hash(&settings.identity);
        let lock = lock(&mark)?;
        let leftovers = leftovers::kill_marked(&mark);
        if leftovers > 0 {
            tracing::warn!(leftovers, "killed process groups that a Scaler before this one had left");
        }
        let keeper = Keeper::start(&settings.binary).map_err(|error| {
            Error::backend(format!("the keeper of processes, {}", settings.binary.display()), error)
        })?;
        Ok(Process {
            programs: settings.programs,
            surroundings: Arc::new(Surroundings {
                binary: settings.binary,
                keeper,
                output: settings.output,
                mark,
                fabric: settings.fabric,
            }),
            shared: Arc::new(Shared {
                entries: Mutex::default(),
                changed: Notify::new(),
                alive: watch::Sender::new(0),
            }),
            _lock: lock,
        })
    }

    fn program(&self, unit: &Unit) -> Result<&Program> {
        self.programs
            .agents
            .get(unit.agent())
            .ok_or_else(|| Error::template(unit.agent(), "no template names this agent"))
    }
}

/// Makes sure that this is the only one of its identity.
fn lock(mark: &str) -> Result<File> {
    let name = format!("perper-scaler-{}-{mark}.lock", rustix::process::getuid().as_raw());
    let path = std::env::temp_dir().join(name);
    let failed = |error: std::io::Error| Error::backend(format!("the lock {}", path.display()), error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::backend(
            "starting",
            "another perper-scaler runs with the same file and the same Fabric; stop that one first",
        )),
    }
}

impl Backend for Process {
    const NAME: &'static str = "process";

    fn templates(&self) -> Templates {
        self.programs.templates()
    }

    async fn list(&self) -> Result<Actual> {
        Ok(self.shared.lock().iter().map(|(unit, entry)| (unit.clone(), entry.state)).collect())
    }

    async fn start(&self, unit: &Unit) -> Result<()> {
        let program = self.program(unit)?.clone();
        let stop = CancellationToken::new();
        {
            // Taken before the process is there, so that a second start finds the place taken.
            let mut entries = self.shared.lock();
            match entries.get(unit) {
                None | Some(Entry { state: UnitState::Ended { .. }, .. }) => {}
                Some(_) => return Ok(()),
            }
            entries.insert(unit.clone(), Entry { state: UnitState::Running, stop: stop.clone() });
        }
        let child = match unit::spawn(unit, &program, &self.surroundings) {
            Ok(child) => child,
            Err(error) => {
                self.shared.lock().remove(unit);
                return Err(error);
            }
        };
        let (shared, surroundings) = (Arc::clone(&self.shared), Arc::clone(&self.surroundings));
        shared.alive.send_modify(|alive| *alive += 1);
        let unit = unit.clone();
        tokio::spawn(async move {
            let end = unit::attend(child, &program, stop, surroundings).await;
            shared.ended(&unit, end);
        });
        Ok(())
    }

    async fn stop(&self, unit: &Unit) -> Result<()> {
        let mut entries = self.shared.lock();
        match entries.get_mut(unit) {
            None => {}
            Some(Entry { state: UnitState::Ended { .. }, .. }) => {
                entries.remove(unit);
            }
            Some(entry) => {
                entry.state = UnitState::Stopping;
                entry.stop.cancel();
            }
        }
        Ok(())
    }

    async fn scale(&self, agent: &str, _: u32) -> Result<()> {
        Err(Error::template(agent, "local processes do not follow the load; say how many there are to be"))
    }

    async fn report(&self, _: &Report) -> Result<()> {
        Ok(())
    }

    async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    async fn shutdown(&self) {
        for entry in self.shared.lock().values_mut() {
            entry.stop.cancel();
        }
        // The sender is our own, so this ends with the last process.
        let _ = self.shared.alive.subscribe().wait_for(|alive| *alive == 0).await;
        self.surroundings.output.finish().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Unit, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, unit: &Unit, end: std::io::Result<unit::End>) {
        {
            let mut entries = self.lock();
            if let Some(entry) = entries.get_mut(unit) {
                if entry.state == UnitState::Stopping || entry.stop.is_cancelled() {
                    entries.remove(unit);
                } else {
                    let (success, ran_for) = match end {
                        Ok(end) => {
                            tracing::info!(%unit, status = %end.status, ran_for = ?end.ran_for, "a process ended by itself");
                            (end.status.success(), end.ran_for)
                        }
                        Err(error) => {
                            tracing::warn!(%unit, %error, "a process could not be waited for");
                            (false, std::time::Duration::ZERO)
                        }
                    };
                    entry.state = UnitState::Ended { success, ran_for };
                }
            }
        }
        self.alive.send_modify(|alive| *alive -= 1);
        self.changed.notify_one();
    }
}
