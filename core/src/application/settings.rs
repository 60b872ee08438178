use std::time::Duration;

/// How an agent process works: how much at once, and how it stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSettings {
    /// How many executions are worked on at once. Generators of streams do not count: they run for long and mostly wait.
    /// Neither do handlers while they wait for a call, so that nested calls cannot starve each other. A
    /// [`Worker`](super::worker::Worker) with 0 takes just as many as it is [granted](super::worker::Worker::grant).
    pub concurrency: u64,
    /// How many bytes of executions are held at once.
    pub bytes: u64,
    /// Every work group gets every execution; the processes of one group share them. Empty is the default group.
    pub work_group: String,
    /// How long a process that is stopping waits for what is in flight. The rest is given back then.
    pub grace: Duration,
    /// Whether SIGTERM and ctrl-c stop the agent. For [`run`](super::AgentBuilder::run) only.
    pub signals: bool,
}

impl Default for AgentSettings {
    fn default() -> Self {
        AgentSettings {
            concurrency: 1024,
            bytes: 32 << 20,
            work_group: String::new(),
            grace: Duration::from_secs(30),
            signals: true,
        }
    }
}
