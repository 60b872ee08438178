use std::time::Instant;

use perper::protocol::{
    Activation, ExecutionFilter, Fabric, ListenEvent, ListenOptions, NewExecution, Settings,
};
use tokio::task::JoinSet;

use super::{Measured, Window, measured::Times, process::Parent};
use crate::values;

/// The delegate that is called.
const DELEGATE: &str = "Echo";

pub(super) async fn connect(endpoint: &str) -> anyhow::Result<Fabric> {
    Ok(Fabric::connect(Settings::default().with_endpoint(endpoint)).await?)
}

pub(super) async fn work(parent: &mut Parent, endpoint: &str, agent: String) -> anyhow::Result<()> {
    let fabric = connect(endpoint).await?;
    let filters = vec![ExecutionFilter { agent, ..ExecutionFilter::default() }];
    let mut listen = fabric.listen(ListenOptions { filters, executions: 4_096, ..ListenOptions::default() });
    // The listen is there when it has told that the start is reached.
    loop {
        let events = listen.next().await?.unwrap_or_default();
        if events.contains(&ListenEvent::StartReached) {
            break;
        }
    }
    parent.ready("")?;
    let answering = async {
        while let Some(events) = listen.next().await? {
            for event in events {
                if let ListenEvent::Activation(activation) = event {
                    let Activation { execution, reservation, arguments, .. } = *activation;
                    // Its failure would show as a call that does not end.
                    drop(fabric.complete_execution(execution, reservation, Ok(arguments)));
                }
            }
        }
        anyhow::Ok(())
    };
    tokio::select! {
        outcome = answering => outcome?,
        () = parent.end() => {}
    }
    fabric.close().await?;
    Ok(())
}

pub(super) async fn call(
    parent: &mut Parent,
    endpoint: &str,
    agent: &str,
    in_flight: usize,
    bytes: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let fabric = connect(endpoint).await?;
    let argument = values::sized(bytes)?;
    parent.begin().await?;
    let window = window.open();
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let fabric = fabric.clone();
        let agent = agent.to_owned();
        let argument = argument.clone();
        callers.spawn(async move {
            let mut times = Times::new()?;
            let mut before = Instant::now();
            while !window.is_over(before) {
                let call = fabric.call_execution(NewExecution {
                    agent: agent.clone(),
                    delegate: DELEGATE.to_owned(),
                    arguments: vec![argument.clone()],
                    ..NewExecution::new(fabric.new_id())
                });
                let results = call.await?;
                anyhow::ensure!(results.as_slice() == [argument.clone()], "a call returned something else");
                let now = Instant::now();
                if window.counts(now) {
                    times.record(now - before);
                }
                before = now;
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Times::new()?;
    while let Some(caller) = callers.join_next().await {
        times.add(&caller??)?;
    }
    fabric.close().await?;
    Ok(Measured::timed(&times, window.length()))
}
