//! Workers that are killed, and workers that are stopped past their lease and go on: processes of their own, since that
//! is what happens to.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use bytes::Bytes;
use perper::{
    ErrorKind,
    protocol::{
        Activation, ExecutionFilter, Fabric, Listen, ListenEvent, ListenOptions, NewExecution, Settings,
    },
};
use perper_fabric::{Config, RunningFabric};
use process::{Process, tell, variable};
use rustix::process::Signal;
use tokio::time::timeout;

mod process;

/// What is promised: that is how soon the executions of a dead worker are done by others.
const PROMISED: Duration = Duration::from_secs(30);
/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn server(session_lease: Duration) -> RunningFabric {
    let address = ([127, 0, 0, 1], 0).into();
    let reset_grace = session_lease.min(Config::default().reset_grace);
    let config = Config { address, session_lease, reset_grace, ..Config::default() };
    perper_fabric::Fabric::start(config).await.expect("a server")
}

async fn connect(address: impl std::fmt::Display) -> Fabric {
    Fabric::connect(Settings::default().with_endpoint(format!("http://{address}"))).await.expect("a session")
}

fn start_worker(address: SocketAddr, executions: usize) -> Process {
    Process::start(
        "worker_process",
        &[("FAULTS_ADDRESS", address.to_string()), ("FAULTS_EXECUTIONS", executions.to_string())],
    )
}

fn listen(fabric: &Fabric) -> Listen {
    let filter = ExecutionFilter { agent: "Worked".into(), ..ExecutionFilter::default() };
    fabric.listen(ListenOptions { filters: vec![filter], ..ListenOptions::default() })
}

fn work(fabric: &Fabric, number: u64) -> NewExecution {
    NewExecution {
        agent: "Worked".into(),
        delegate: "Work".into(),
        arguments: vec![cbor(number)],
        ..NewExecution::new(fabric.new_id())
    }
}

fn cbor(number: u64) -> Bytes {
    perper_values::to_vec(&number).expect("encodes").into()
}

fn number(value: &Bytes) -> u64 {
    perper_values::from_slice(value).expect("decodes")
}

/// The next so many activations. Revocations are left out.
async fn take(listening: &mut Listen, count: usize) -> Vec<Activation> {
    let mut taken = Vec::new();
    while taken.len() < count {
        for event in listening.next().await.expect("no error").expect("the listen goes on") {
            if let ListenEvent::Activation(activation) = event {
                taken.push(*activation);
            }
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_held_completes_elsewhere() {
    const EXECUTIONS: u64 = 100;
    // The leases and graces that users have.
    let server = server(Config::default().session_lease).await;
    let caller = connect(server.address()).await;
    let mut worker = start_worker(server.address(), EXECUTIONS as usize);
    let calls: Vec<_> = (0..EXECUTIONS).map(|number| caller.call_execution(work(&caller, number))).collect();
    assert_eq!(worker.line().await, "holding");
    worker.kill();

    let other = connect(server.address()).await;
    let serving = async {
        let mut listening = listen(&other);
        let mut served = BTreeSet::new();
        for activation in take(&mut listening, EXECUTIONS as usize).await {
            let number = number(&activation.arguments[0]);
            assert!(served.insert(number), "{number} was given out twice");
            assert_eq!(activation.attempt, 2);
            let results = Ok(vec![cbor(number + 1)]);
            let completing = other.complete_execution(activation.execution, activation.reservation, results);
            completing.await.expect("its reservation is in force");
        }
    };
    let calling = async {
        for (number, call) in (0..EXECUTIONS).zip(calls) {
            assert_eq!(call.await.expect("a result"), [cbor(number + 1)]);
        }
    };
    timeout(PROMISED, async { tokio::join!(serving, calling) }).await.expect("all 100 complete within 30 s");
    server.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_past_its_lease_changes_nothing_when_it_goes_on() {
    // Short, since it has to run out, but not so short that those who go on lose theirs on a busy machine.
    let server = server(Duration::from_secs(6)).await;
    let caller = connect(server.address()).await;
    let mut stopped = start_worker(server.address(), 1);
    let call = caller.call_execution(work(&caller, 1));
    assert_eq!(stopped.line().await, "holding");
    let execution = call.execution().to_owned();
    let stale = Bytes::from(hex(&stopped.line().await));
    stopped.signal(Signal::STOP);

    // The lease runs out, and nothing else, so that another gets it.
    let other = connect(server.address()).await;
    let mut listening = listen(&other);
    let taken = timeout(PATIENCE, take(&mut listening, 1)).await.expect("the lease ends").remove(0);
    assert_eq!((taken.execution.as_str(), taken.attempt), (execution.as_str(), 2));

    // It goes on while the other is at work, and completes what it took itself to hold.
    stopped.signal(Signal::CONT);
    stopped.say("complete");
    // Sent into a session that has ended, nobody could tell it what became of it; refused it is in any case.
    let refusals = [ErrorKind::ReservationLost, ErrorKind::OutcomeUnknown].map(|kind| format!("{kind:?}"));
    let told = stopped.line().await;
    assert!(refusals.contains(&told), "the late completion got {told}");
    // The server, asked in a session that goes on, knows why.
    let late = caller.complete_execution(execution.as_str(), stale.clone(), Ok(vec![cbor(666)]));
    assert_eq!(late.await.expect_err("it is stale").kind(), ErrorKind::ReservationLost);

    let results = Ok(vec![cbor(2)]);
    other.complete_execution(taken.execution, taken.reservation, results).await.expect("it is in force");
    assert_eq!(call.await.expect("a result"), [cbor(2)]);
    server.shutdown().await.expect("it stops in order");
}

/// Holds so many executions, tells the first reservation, and completes it when it is told to.
#[tokio::test]
#[ignore = "the part of a worker, for the tests that kill or stop one"]
async fn worker_process() {
    let fabric = connect(variable("FAULTS_ADDRESS")).await;
    let mut listening = listen(&fabric);
    let count = variable("FAULTS_EXECUTIONS").parse().expect("a number");
    let held = take(&mut listening, count).await;
    tell("holding");
    let Activation { execution, reservation, .. } = held.into_iter().next().expect("one at least");
    tell(reservation.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await.expect("no panic");
    if line.is_some() {
        let late = fabric.complete_execution(execution, reservation, Ok(vec![cbor(1)])).await;
        tell(late.map_or_else(|error| format!("{:?}", error.kind()), |()| "OK".to_owned()));
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}
