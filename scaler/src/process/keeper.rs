//! The two small programs that see to it that nothing outlives the Scaler. Both are the Scaler's own binary, called with
//! an argument that nobody types.
//!
//! * The *keeper* reads from its standard input which process groups there are. When nobody can write there any more, the
//!   Scaler is gone, whatever ended it, and the keeper kills the groups. It leads a group of its own, so that what is
//!   sent to the Scaler's group does not reach it.
//! * The *launcher* runs first in every child. It tells the keeper of itself and then becomes the agent's program: so
//!   there is no moment at which a child exists that the keeper would not hear of.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, getpid, kill_process_group};

/// The argument that makes a keeper of the binary.
pub const KEEP: &str = "__keep";
/// The argument that makes a launcher of the binary.
pub const LAUNCH: &str = "__launch";

/// What a shell says when a program cannot be run.
const CANNOT_RUN: u8 = 127;

/// The keeper: returns when everything that was to be killed has been.
pub fn keep(orders: impl Read) -> ExitCode {
    let mut groups = BTreeSet::new();
    for order in BufReader::new(orders).lines() {
        // What cannot be read is an end as well.
        let Ok(order) = order else { break };
        let (sign, pid) = order.split_at_checked(1).unwrap_or_default();
        let Some(pid) = pid.parse::<i32>().ok().filter(|pid| *pid > 1) else { continue };
        match sign {
            "+" => groups.insert(pid),
            "-" => groups.remove(&pid),
            _ => false,
        };
    }
    for group in groups {
        kill_group(group);
    }
    ExitCode::SUCCESS
}

/// The launcher: becomes the program that its arguments name. Returns only if that fails.
pub fn launch(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(program) = arguments.next() else { return ExitCode::from(CANNOT_RUN) };
    let error = match announce() {
        Ok(()) => Command::new(&program).args(arguments).exec(),
        Err(error) => error,
    };
    eprintln!("{} cannot be run: {error}", program.display());
    ExitCode::from(CANNOT_RUN)
}

/// Tells the keeper, who is at the other end of standard input, and then gives that up: agents have no input.
fn announce() -> io::Result<()> {
    // One write of a few bytes, so those of several children do not mix.
    rustix::io::write(rustix::stdio::stdin(), order('+', getpid().as_raw_nonzero().get()).as_bytes())?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(())
}

fn order(sign: char, pid: i32) -> String {
    format!("{sign}{pid}\n")
}

/// Kills all of a group at once. What is not there any more is dead already.
pub(super) fn kill_group(group: i32) {
    if let Some(group) = Pid::from_raw(group) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The Scaler's end of its keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    // A std mutex: it is held for a write of a few bytes to a pipe that is read at once.
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    orders: ChildStdin,
    /// What it knows, to be told to another one should it be killed.
    groups: BTreeSet<i32>,
}

impl Keeper {
    pub(super) fn start(binary: &Path) -> io::Result<Self> {
        let (child, orders) = spawn(binary)?;
        Ok(Keeper { running: Mutex::new(Running { child, orders, groups: BTreeSet::new() }) })
    }

    /// Makes sure that there is a keeper, and gives what a launcher tells it by.
    pub(super) fn announcement(&self, binary: &Path) -> io::Result<OwnedFd> {
        let mut running = self.lock();
        if running.child.try_wait()?.is_some() {
            tracing::warn!("the keeper of the agent processes was killed; starting another one");
            let (child, mut orders) = spawn(binary)?;
            for group in &running.groups {
                orders.write_all(order('+', *group).as_bytes())?;
            }
            (running.child, running.orders) = (child, orders);
        }
        running.orders.as_fd().try_clone_to_owned()
    }

    /// A group exists. The launcher tells the keeper itself; this is for the next keeper.
    pub(super) fn add(&self, group: i32) {
        self.lock().groups.insert(group);
    }

    /// A group is no more.
    pub(super) fn remove(&self, group: i32) {
        let mut running = self.lock();
        running.groups.remove(&group);
        // A keeper that is gone has forgotten it already.
        let _ = running.orders.write_all(order('-', group).as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its input ends with this process, or when the last launcher has become its program; it does not have to be
        // waited for. Whoever drops a Keeper and lives on has a zombie until the end of the process.
        let _ = self.child.try_wait();
    }
}

fn spawn(binary: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(binary)
        .arg(KEEP)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()?;
    let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, orders))
}
