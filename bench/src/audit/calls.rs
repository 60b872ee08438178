use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use perper::{
    ErrorKind,
    protocol::{Activation, ExecutionFilter, Fabric, ListenEvent, ListenOptions, NewExecution},
};
use tokio::task::JoinSet;

use super::{
    load::Load,
    tally::{Found, Kind},
};

/// Calls on their way at a time.
const IN_FLIGHT: u64 = 16;
const AGENT: &str = "Called";

/// Calls, and a worker for them in another session.
///
/// Every completion carries a number of its own, so that it is known which one a caller got. An execution may be given
/// out again as long as no completion of it was acknowledged, and only then.
pub(super) struct Calls {
    load: Load,
    caller: Fabric,
    worker: Fabric,
    calls: Arc<Mutex<HashMap<u64, Call>>>,
}

#[derive(Debug, Default)]
struct Call {
    /// The completion that was acknowledged.
    completed: Option<u64>,
    /// Completions that were refused.
    refused: Vec<u64>,
}

impl Calls {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let (caller, worker) = (load.connect().await?, load.connect().await?);
        Ok(Calls { load, caller, worker, calls: Arc::default() })
    }

    /// Calls until told to stop; all calls have returned then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let mut callers = JoinSet::new();
        for first in 0..IN_FLIGHT {
            let (load, caller, calls) = (self.load.clone(), self.caller.clone(), self.calls.clone());
            callers.spawn(async move { call(&load, &caller, &calls, first).await });
        }
        let calling = async {
            while let Some(outcome) = callers.join_next().await {
                outcome.map_err(|error| self.load.tally().wrong(format!("a caller failed: {error}")))??;
            }
            Ok(())
        };
        tokio::select! {
            outcome = work(&self.load, &self.worker, &self.calls) => outcome,
            outcome = calling => outcome,
        }
    }

    /// Nothing of them is left to do.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        let load = &self.load;
        let mut listen = self.worker.listen(listen_options());
        loop {
            let events = load.ok(listen.next(), "listening for executions").await?.unwrap_or_default();
            for event in events {
                match event {
                    ListenEvent::StartReached => return Ok(()),
                    ListenEvent::Activation(activation) => {
                        let text = format!("a call that has returned was given out again: {activation:?}");
                        return Err(load.tally().duplicated(text));
                    }
                    ListenEvent::Revocation { .. } => {}
                }
            }
        }
    }
}

fn listen_options() -> ListenOptions {
    let filters = vec![ExecutionFilter { agent: AGENT.to_owned(), ..ExecutionFilter::default() }];
    ListenOptions { filters, ..ListenOptions::default() }
}

fn lock(calls: &Mutex<HashMap<u64, Call>>) -> MutexGuard<'_, HashMap<u64, Call>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn call(
    load: &Load,
    caller: &Fabric,
    calls: &Mutex<HashMap<u64, Call>>,
    first: u64,
) -> Result<(), Found> {
    let mut number = first;
    while !load.stopped() {
        let execution = NewExecution {
            agent: AGENT.to_owned(),
            delegate: "Run".to_owned(),
            arguments: vec![load.value(&number)?],
            ..NewExecution::new(caller.new_id())
        };
        let results = load.ok(caller.call_execution(execution), "a call").await?;
        let result = results.first().map(|result| &result[..]).unwrap_or_default();
        let (called, completion): (u64, u64) = load.read(result, "a result")?;
        {
            let calls = lock(calls);
            let known = calls.get(&number);
            let refused = known.is_some_and(|call| call.refused.contains(&completion));
            let other =
                known.and_then(|call| call.completed).is_some_and(|completed| completed != completion);
            if called != number || refused || other {
                let text =
                    format!("call {number} returned completion {completion} of {called}, though {known:?}");
                return Err(load.tally().wrong(text));
            }
        }
        load.tally().acknowledge(Kind::Call);
        number += IN_FLIGHT;
    }
    Ok(())
}

async fn work(load: &Load, worker: &Fabric, calls: &Arc<Mutex<HashMap<u64, Call>>>) -> Result<(), Found> {
    let mut listen = worker.listen(listen_options());
    let mut next_completion = 0;
    while let Some(events) = load.ok(listen.next(), "listening for executions").await? {
        for event in events {
            let ListenEvent::Activation(activation) = event else { continue };
            let Activation { execution, arguments, reservation, .. } = *activation;
            let argument = arguments.first().map(|argument| &argument[..]).unwrap_or_default();
            let number: u64 = load.read(argument, "an argument")?;
            if let Some(completed) = lock(calls).entry(number).or_default().completed {
                let text = format!("call {number} was given out again after completion {completed} of it");
                return Err(load.tally().duplicated(text));
            }
            next_completion += 1;
            let completion = next_completion;
            let result = load.value(&(number, completion))?;
            let reply = worker.complete_execution(execution, reservation, Ok(vec![result]));
            let (load, calls) = (load.clone(), calls.clone());
            tokio::spawn(async move {
                let outcome = reply.await;
                let mut calls = lock(&calls);
                let call = calls.entry(number).or_default();
                match outcome {
                    Ok(()) => {
                        if let Some(other) = call.completed.replace(completion) {
                            let text =
                                format!("completions {other} and {completion} of call {number} both won");
                            load.tally().duplicated(text);
                        }
                    }
                    // The execution went to another reservation while the server was away.
                    Err(error) if is_refusal(error.kind()) => call.refused.push(completion),
                    Err(error) if error.kind() == ErrorKind::Closed => {}
                    Err(error) => {
                        load.tally().wrong(format!("completing call {number} failed: {error}"));
                    }
                }
            });
        }
    }
    Ok(())
}

/// What a completion gets that came too late.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ReservationLost | ErrorKind::ExecutionCompleted | ErrorKind::NotFound)
}
