use std::{io::Write as _, process::Stdio};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Measured, Window, calls, echo, items, state};
use crate::{report::Cost, usage::Meter};

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves the echo; says where when it is ready.
    EchoServer,
    /// Calls the echo, so many calls at a time.
    EchoUnary {
        /// Of the echo.
        endpoint: String,
        /// Calls at a time.
        in_flight: usize,
        /// Of a message.
        bytes: usize,
        /// When to measure.
        window: Window,
    },
    /// Sends frames through one stream of the echo.
    EchoStreamed {
        /// Of the echo.
        endpoint: String,
        /// Messages in a frame.
        messages: usize,
        /// Frames on their way at a time.
        in_flight: usize,
        /// Of a message.
        bytes: usize,
        /// When to measure.
        window: Window,
    },
    /// Answers every call of an agent with its argument.
    Worker {
        /// Of the Fabric.
        endpoint: String,
        /// Which calls.
        agent: String,
    },
    /// Calls an agent.
    Caller {
        /// Of the Fabric.
        endpoint: String,
        /// Whom.
        agent: String,
        /// Calls at a time.
        in_flight: usize,
        /// Of the argument.
        bytes: usize,
        /// When to measure.
        window: Window,
    },
    /// Writes items as fast as they are taken, until it is stopped.
    Writer {
        /// Of the Fabric.
        endpoint: String,
        /// Where to.
        stream: String,
        /// Of an item.
        bytes: usize,
    },
    /// Listens to a stream and counts items.
    Listeners {
        /// Of the Fabric.
        endpoint: String,
        /// What to.
        stream: String,
        /// How many listeners.
        count: usize,
        /// When to measure.
        window: Window,
    },
    /// Sets or gets entries of a dictionary.
    Dictionary {
        /// Of the Fabric.
        endpoint: String,
        /// Which.
        dictionary: String,
        /// Set rather than get.
        set: bool,
        /// Operations on their way at a time.
        in_flight: usize,
        /// Different keys.
        keys: u64,
        /// Of a value.
        bytes: usize,
        /// When to measure.
        window: Window,
    },
    /// Adds to a list.
    List {
        /// Of the Fabric.
        endpoint: String,
        /// Which.
        list: String,
        /// Operations on their way at a time.
        in_flight: usize,
        /// Of an element.
        bytes: usize,
        /// When to measure.
        window: Window,
    },
}

/// The side of the child: how it speaks with its parent.
pub(super) struct Parent {
    lines: Lines<BufReader<Stdin>>,
}

impl Parent {
    /// Says that it is ready, and where if that is of interest.
    pub(super) fn ready(&self, what: &str) -> anyhow::Result<()> {
        say(&format!("ready {what}"))
    }

    /// Says that it is ready, and waits for the word to begin.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        self.ready("")?;
        self.lines.next_line().await?.context("the parent is gone")?;
        Ok(())
    }

    /// Tells what was measured.
    pub(super) fn measured(&self, measured: &Measured) -> anyhow::Result<()> {
        say(&serde_json::to_string(measured)?)
    }

    /// Waits until the parent wants it to end.
    pub(super) async fn end(&mut self) {
        while let Ok(Some(_)) = self.lines.next_line().await {}
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

/// Plays the role that the parent gave as JSON.
pub async fn run(role: &str) -> anyhow::Result<()> {
    let role: Role = serde_json::from_str(role).context("the role is not understood")?;
    let mut parent = Parent { lines: BufReader::new(tokio::io::stdin()).lines() };
    let measured = match role {
        Role::EchoServer => return echo::serve(&mut parent).await,
        Role::Worker { endpoint, agent } => return calls::work(&mut parent, &endpoint, agent).await,
        Role::Writer { endpoint, stream, bytes } => {
            return items::write(&mut parent, &endpoint, stream, bytes).await;
        }
        Role::Listeners { endpoint, stream, count, window } => {
            return items::listen(&mut parent, &endpoint, &stream, count, window).await;
        }
        Role::EchoUnary { endpoint, in_flight, bytes, window } => {
            echo::unary(&mut parent, &endpoint, in_flight, bytes, window).await?
        }
        Role::EchoStreamed { endpoint, messages, in_flight, bytes, window } => {
            echo::streamed(&mut parent, &endpoint, messages, in_flight, bytes, window).await?
        }
        Role::Caller { endpoint, agent, in_flight, bytes, window } => {
            calls::call(&mut parent, &endpoint, &agent, in_flight, bytes, window).await?
        }
        Role::Dictionary { endpoint, dictionary, set, in_flight, keys, bytes, window } => {
            state::dictionary(&mut parent, &endpoint, &dictionary, set, in_flight, keys, bytes, window)
                .await?
        }
        Role::List { endpoint, list, in_flight, bytes, window } => {
            state::list(&mut parent, &endpoint, &list, in_flight, bytes, window).await?
        }
    };
    parent.measured(&measured)?;
    parent.end().await;
    Ok(())
}

/// The side of the parent: a role in a process of its own.
#[derive(Debug)]
pub struct RoleProcess {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl RoleProcess {
    /// Starts it and waits until it is ready.
    pub async fn start(role: &Role) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("the path of this program is not known")?;
        let mut child = Command::new(own)
            .arg("role")
            .arg(serde_json::to_string(role)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut process = RoleProcess { child, input, output, said: String::new() };
        let line = process.line().await?;
        let Some(said) = line.strip_prefix("ready ") else { bail!("{role:?} said {line:?}") };
        said.clone_into(&mut process.said);
        Ok(process)
    }

    /// What it said when it was ready.
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("a role has ended early; its reason is above")
    }

    /// Lets it begin.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        Ok(self.input.write_all(b"begin\n").await?)
    }

    /// What it measured.
    pub async fn measured(&mut self) -> anyhow::Result<Measured> {
        let line = self.line().await?;
        serde_json::from_str(&line).with_context(|| format!("a role said {line:?}"))
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        match self.output.next_line().await? {
            Some(line) => Ok(line),
            None => bail!("a role ended early ({}); its reason is above", self.child.wait().await?),
        }
    }

    /// Lets it end by itself.
    pub async fn end(mut self) -> anyhow::Result<()> {
        drop(self.input);
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("a role failed ({status}); its reason is above");
        }
        Ok(())
    }

    /// Begins, waits for what it measures, and lets it end; tells also what an operation cost itself, as `name`, and
    /// `others`.
    pub async fn measure(
        mut self,
        window: Window,
        name: &str,
        others: &[(&str, u32)],
    ) -> anyhow::Result<(Measured, Vec<Cost>)> {
        let meter = Meter::new(others.iter().copied().chain([(name, self.pid()?)]));
        self.begin().await?;
        let (measured, costs) = self.metered(window, &meter).await?;
        self.end().await?;
        Ok((measured, costs))
    }

    /// What it measures in a window that begins now, and what an operation costs the processes of a meter.
    pub async fn metered(&mut self, window: Window, meter: &Meter) -> anyhow::Result<(Measured, Vec<Cost>)> {
        tokio::time::sleep(window.warm_up).await;
        let before = meter.read()?;
        // The role ends its window by its own clock, a moment before or after; it goes on until it is told to end.
        tokio::time::sleep(window.measure).await;
        let after = meter.read()?;
        let measured = self.measured().await?;
        let costs = meter.costs(&before, &after, measured.count);
        Ok((measured, costs))
    }
}
