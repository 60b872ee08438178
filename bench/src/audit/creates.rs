use std::{collections::VecDeque, time::Duration};

use perper::protocol::{ExecutionFilter, Fabric, ListenEvent, ListenOptions, NewExecution};

use super::{
    load::Load,
    tally::{Found, Kind},
};

/// Creations on their way at a time: few, since every one stays to the end.
const IN_FLIGHT: usize = 2;
const AGENT: &str = "Created";
/// Twice the lease of a session.
const ALL_TAKEN: Duration = Duration::from_secs(40);

/// Executions that nobody waits for: each is there until a worker takes it at the end.
pub(super) struct Creates {
    load: Load,
    fabric: Fabric,
    created: u64,
}

impl Creates {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let fabric = load.connect().await?;
        Ok(Creates { load, fabric, created: 0 })
    }

    /// Creates executions until told to stop; all is answered then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let mut replies = VecDeque::new();
        loop {
            let stopped = self.load.stopped();
            while !replies.is_empty() && (stopped || replies.len() >= IN_FLIGHT) {
                let Some(reply) = replies.pop_front() else { break };
                if !self.load.ok(reply, "creating an execution").await? {
                    let text = "an execution with an id never used before was there already";
                    return Err(self.load.tally().duplicated(text));
                }
                self.load.tally().acknowledge(Kind::Create);
            }
            if stopped {
                return Ok(());
            }
            replies.push_back(self.fabric.create_execution(NewExecution {
                agent: AGENT.to_owned(),
                delegate: "Run".to_owned(),
                arguments: vec![self.load.value(&self.created)?],
                ..NewExecution::new(self.fabric.new_id())
            }));
            self.created += 1;
        }
    }

    /// Takes every one of them, once.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        let mut seen = vec![false; usize::try_from(self.created).unwrap_or(usize::MAX)];
        // The start mark says nothing yet: after a restart executions are kept back while sessions may come back that
        // work on them, which is a lease at most.
        let taken = tokio::time::timeout(ALL_TAKEN, self.take(&mut seen, 0)).await;
        if let Ok(taken) = taken {
            taken?;
        } else {
            let missing: Vec<_> = (0..seen.len()).filter(|number| !seen[*number]).collect();
            let text = format!(
                "{} of {} created executions are not given out, {:?} among them",
                missing.len(),
                seen.len(),
                missing.first()
            );
            return Err(self.load.tally().lost(text));
        }
        // Nothing is left, and nothing comes twice.
        self.take(&mut seen, 1).await
    }

    /// Takes executions until all are seen, and until that many start marks have come.
    async fn take(&self, seen: &mut [bool], mut marks: u32) -> Result<(), Found> {
        let load = &self.load;
        let filters = vec![ExecutionFilter { agent: AGENT.to_owned(), ..ExecutionFilter::default() }];
        let mut listen = self.fabric.listen(ListenOptions { filters, ..ListenOptions::default() });
        let mut left = seen.iter().filter(|seen| !**seen).count();
        let mut completions = Vec::new();
        while left > 0 || marks > 0 {
            let Some(events) = load.ok(listen.next(), "listening for executions").await? else { break };
            for event in events {
                match event {
                    ListenEvent::Activation(activation) => {
                        let argument = activation.arguments.first().map(|argument| &argument[..]);
                        let number: u64 = load.read(argument.unwrap_or_default(), "an argument")?;
                        match usize::try_from(number).ok().and_then(|number| seen.get_mut(number)) {
                            Some(seen) if !*seen => *seen = true,
                            _ => {
                                let text = format!("execution {number} was given out twice");
                                return Err(load.tally().duplicated(text));
                            }
                        }
                        left -= 1;
                        let (execution, reservation) = (activation.execution, activation.reservation);
                        let results = Ok(Vec::new());
                        completions.push(self.fabric.complete_execution(execution, reservation, results));
                    }
                    ListenEvent::Revocation { reason, .. } => {
                        let text = format!("a reservation was revoked ({reason}) while no server was killed");
                        return Err(load.tally().wrong(text));
                    }
                    ListenEvent::StartReached => marks = marks.saturating_sub(1),
                }
            }
        }
        for completion in completions {
            load.ok(completion, "completing an execution").await?;
        }
        Ok(())
    }
}
