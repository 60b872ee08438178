//! A peer: a process in one of the languages, to which the harness gives commands.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Notify, oneshot},
};

use crate::{registry::Language, scenario::PeerPart};

/// Long enough for any machine; what takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How many of the last lines on standard error a failure shows.
const LOG_LINES: usize = 40;

/// The agent that every peer serves, and belongs to.
pub(crate) const AGENT: &str = "Conformance";

/// The instance that a caller belongs to.
pub(crate) const CALLER: &str = "caller";

pub(crate) struct Peer {
    child: Child,
    stdin: tokio::sync::Mutex<ChildStdin>,
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something has come.
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Json>>,
    events: VecDeque<Json>,
    log: VecDeque<String>,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command under way.
pub(crate) struct Pending {
    pub(crate) id: u64,
    answer: oneshot::Receiver<Json>,
}

impl Pending {
    /// `{"ok": …}` or `{"error": …}`.
    pub(crate) async fn answer(self) -> Result<Json> {
        let answer = tokio::time::timeout(PATIENCE, self.answer).await;
        let answer = answer.map_err(|_| anyhow!("no answer within {PATIENCE:?}"))?;
        answer.map_err(|_| anyhow!("the peer ended before it answered"))
    }
}

impl Peer {
    /// Starts the process, and lets it connect or serve.
    pub(crate) async fn start(
        name: &str,
        language: &Language,
        server: SocketAddr,
        part: &PeerPart,
    ) -> Result<Self> {
        let (program, arguments) = language.command.split_first().context("the command is empty")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(root)
            .env("PERPER_FABRIC_ENDPOINT", format!("http://{server}"))
            .env("PERPER_CONFORMANCE_NAME", name)
            .env("X_PERPER_AGENT", AGENT)
            .env_remove("X_PERPER_INSTANCE")
            .env_remove("PERPER_TOKEN")
            .env_remove("PERPER_CA_FILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(instance) = part.instance.as_deref().or((!part.serve).then_some(CALLER)) {
            command.env("X_PERPER_INSTANCE", instance);
        }
        let mut child = command.spawn().with_context(|| {
            format!(
                "the peer of {} does not start: {:?}; build it: {}",
                language.name, language.command, language.build
            )
        })?;
        let stdin = child.stdin.take().context("a pipe")?;
        let stdout = child.stdout.take().context("a pipe")?;
        let stderr = child.stderr.take().context("a pipe")?;
        let shared = Arc::<Shared>::default();
        tokio::spawn(read(stdout, shared.clone()));
        tokio::spawn({
            let shared = shared.clone();
            async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let log = &mut shared.state().log;
                    log.push_back(line);
                    if log.len() > LOG_LINES {
                        log.pop_front();
                    }
                }
            }
        });
        let mut peer =
            Peer { child, stdin: tokio::sync::Mutex::new(stdin), shared, next_id: AtomicU64::new(1) };
        for first in
            part.held.then_some("hold").into_iter().chain([if part.serve { "serve" } else { "connect" }])
        {
            let outcome = async { peer.send(json!({ "do": first })).await?.answer().await };
            let outcome = match outcome.await {
                Ok(answer) if answer.get("ok").is_some() => continue,
                Ok(answer) => answer.to_string(),
                Err(error) => format!("{error:#}"),
            };
            let Language { name: language, build, .. } = language;
            bail!(
                "the {language} peer {name:?} does not {first}: {outcome}; build it: {build}{}",
                peer.log()
            );
        }
        Ok(peer)
    }

    /// Gives a command.
    pub(crate) async fn send(&self, mut command: Json) -> Result<Pending> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let (sender, answer) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if state.ended {
                bail!("the peer has ended");
            }
            state.waiting.insert(id, sender);
        }
        let line = format!("{command}\n");
        let mut stdin = self.stdin.lock().await;
        stdin.write_all(line.as_bytes()).await.context("the peer does not read")?;
        stdin.flush().await?;
        Ok(Pending { id, answer })
    }

    /// Waits for an event that fits, and takes it out.
    pub(crate) async fn event(&self, fits: impl Fn(&Json) -> bool) -> Result<Json> {
        let wait = async {
            loop {
                let changed = self.shared.changed.notified();
                {
                    let mut state = self.shared.state();
                    if let Some(at) = state.events.iter().position(&fits) {
                        return Ok(state.events.remove(at).unwrap_or_default());
                    }
                    if state.ended {
                        bail!("the peer has ended");
                    }
                }
                changed.await;
            }
        };
        let event = tokio::time::timeout(PATIENCE, wait).await;
        event.unwrap_or_else(|_| {
            Err(anyhow!("no such event within {PATIENCE:?}; others: {}", Json::from(self.events())))
        })
    }

    /// The events that nobody has asked for yet.
    pub(crate) fn events(&self) -> Vec<Json> {
        self.shared.state().events.iter().cloned().collect()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(kill_process(pid.context("the peer has ended")?, signal)?)
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("the peer cannot be killed")
    }

    /// How it ended, if it has, and the end of what it wrote to standard error.
    pub(crate) fn log(&mut self) -> String {
        let mut told = match self.child.try_wait() {
            Ok(Some(status)) => format!("\n  it ended: {status}"),
            _ => String::new(),
        };
        let state = self.shared.state();
        if !state.log.is_empty() {
            told.push_str("\n  it logged:");
        }
        for line in &state.log {
            told.push_str("\n    ");
            told.push_str(line);
        }
        told
    }
}

/// Takes answers and events in until the process ends.
async fn read(stdout: ChildStdout, shared: Arc<Shared>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut state = shared.state();
        match serde_json::from_str::<Json>(&line) {
            Ok(json) if json.get("event").is_some() => state.events.push_back(json),
            Ok(json) => {
                let waiting = json["id"].as_u64().and_then(|id| state.waiting.remove(&id));
                match waiting {
                    // Whoever asked may have given up.
                    Some(waiting) => drop(waiting.send(json)),
                    None => state.log.push_back(format!("(answers what was not asked) {line}")),
                }
            }
            Err(error) => state.log.push_back(format!("(no JSON on standard output: {error}) {line}")),
        }
        drop(state);
        shared.changed.notify_waiters();
    }
    let mut state = shared.state();
    state.ended = true;
    state.waiting.clear();
    drop(state);
    shared.changed.notify_waiters();
}
