use perper_proto::v1;
use v1::request::Request as Asked;

use super::client::{Client, call, call_below, cancel, complete, value};
use super::servers::under_seeds;
use crate::engine::ExecutionQuery;

/// Takes and completes so many executions; answers their ids.
async fn work(mut client: Client, count: usize) -> Vec<String> {
    let listen = client.listen(3).await;
    let mut done = Vec::new();
    let mut completions = Vec::new();
    for _ in 0..count {
        let activation = client.activation().await;
        assert_eq!(activation.attempt, 1);
        completions.push(client.ask(complete(&activation)));
        client.grant(listen, 1, None);
        done.push(activation.execution);
    }
    for completion in completions {
        client.outcome(completion).await.expect("the winner's completion");
    }
    done
}

#[test]
fn calls_complete_at_the_other_server() {
    under_seeds(40, async |servers| {
        let worker = tokio::spawn(work(servers.client(1, 2).await, 20));
        let mut caller = servers.client(0, 1).await;
        let mut calls = Vec::new();
        for frame in 0..5_u8 {
            let requests = (0..4)
                .map(|at| frame * 4 + at)
                .map(|byte| (byte, Asked::CreateExecution(call(&format!("e{byte}"), byte))));
            let (bytes, requests): (Vec<u8>, Vec<Asked>) = requests.unzip();
            calls.extend(caller.ask_all(requests).into_iter().zip(bytes));
        }
        for (sequence, byte) in calls {
            let end = caller.completion(sequence).await;
            assert_eq!(end.results, [value(byte)]);
            caller.received(sequence);
        }
        worker.await.unwrap();
        servers
            .eventually("that what was received is forgotten", |servers| {
                servers.engine().count_executions(&ExecutionQuery::default()) == 0
            })
            .await;
        servers.nobody_waits().await;
    });
}

#[test]
fn servers_race_for_executions_and_each_goes_to_one() {
    under_seeds(40, async |servers| {
        let mut callers = [servers.client(0, 1).await, servers.client(1, 2).await];
        let mut calls = Vec::new();
        for byte in 0..24_u8 {
            let caller = usize::from(byte % 2);
            let sequence = callers[caller].ask(Asked::CreateExecution(call(&format!("e{byte}"), byte)));
            calls.push((caller, sequence, byte));
        }
        // Whoever is faster: both may wait for what the other has got.
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        for server in 0..2 {
            let mut worker = servers.client(server, 10 + server as u128).await;
            let sender = sender.clone();
            tokio::spawn(async move {
                let listen = worker.listen(2).await;
                loop {
                    let activation = worker.activation().await;
                    worker.carry_out(complete(&activation)).await.expect("the winner's completion");
                    worker.grant(listen, 1, None);
                    drop(sender.send((activation.execution, activation.attempt)));
                }
            });
        }
        for (caller, sequence, byte) in calls {
            assert_eq!(callers[caller].completion(sequence).await.results, [value(byte)]);
        }
        let mut ids = std::collections::HashSet::new();
        for _ in 0..24 {
            let (id, attempt) = done.recv().await.unwrap();
            assert_eq!(attempt, 1, "{id}");
            assert!(ids.insert(id));
        }
        assert!(done.try_recv().is_err());
        for session in [10, 11] {
            assert_eq!(servers.engine().reservations_of(crate::engine::SessionId(session)), 0);
        }
    });
}

#[test]
fn a_second_caller_attaches_and_both_get_the_end() {
    under_seeds(40, async |servers| {
        let mut callers = [servers.client(0, 1).await, servers.client(1, 2).await];
        let first = callers[0].ask(Asked::CreateExecution(call("e", 7)));
        let second = callers[1].ask(Asked::CreateExecution(call("e", 7)));
        let mut worker = servers.client(1, 3).await;
        worker.listen(1).await;
        let activation = worker.activation().await;
        worker.carry_out(complete(&activation)).await.unwrap();
        // Whoever is told first may forget it before the other is told: the other learns that it has completed.
        let end = callers[0].completion(first).await;
        callers[0].received(first);
        assert_eq!(end.results, [value(7)]);
        let end = callers[1].completion(second).await;
        match end.error {
            None => assert_eq!(end.results, [value(7)]),
            Some(error) => assert_eq!(error.reason, "EXECUTION_COMPLETED"),
        }
        servers.nobody_waits().await;
    });
}

#[test]
fn who_waits_is_told_what_is_left_of_an_execution() {
    under_seeds(40, async |servers| {
        let mut waiting = servers.client(0, 1).await;
        let mut other = servers.client(1, 2).await;
        let manual = v1::CreateExecutionRequest { manual: true, wait: false, ..call("e", 0) };
        other.carry_out(Asked::CreateExecution(manual)).await.unwrap();
        let wait = v1::WaitExecutionRequest { execution: "e".into() };
        let wait = waiting.ask(Asked::WaitExecution(wait));
        waiting.outcome(wait).await.unwrap();
        // Both in one step, so that the end need not be told any more when the removal is.
        let done = v1::CompleteExecutionRequest {
            execution: "e".into(),
            results: vec![value(7)],
            ..Default::default()
        };
        let forget = v1::ForgetExecutionRequest { execution: "e".into(), identity: None };
        other.ask_all(vec![Asked::CompleteExecution(done), Asked::ForgetExecution(forget)]);
        let end = waiting.completion(wait).await;
        match end.error {
            None => assert_eq!(end.results, [value(7)]),
            Some(error) => assert_eq!(error.reason, "EXECUTION_COMPLETED"),
        }
        servers.nobody_waits().await;
    });
}

#[test]
fn a_tree_is_cancelled_from_the_other_server() {
    under_seeds(40, async |servers| {
        let mut caller = servers.client(0, 1).await;
        let mut worker = servers.client(1, 2).await;
        worker.listen(10).await;
        let root = caller.ask(Asked::CreateExecution(call("e0", 0)));
        let mut held = Vec::new();
        let mut calls = Vec::new();
        for depth in 1..=3_u8 {
            let activation = worker.activation().await;
            let child = call_below(&activation, &format!("e{depth}"), depth);
            let call = worker.ask(Asked::CreateExecution(child));
            // One that is made after the cancellation is refused.
            worker.outcome(call).await.unwrap();
            calls.push(call);
            held.push(activation.reservation);
        }
        caller.carry_out(cancel("e0")).await.unwrap();
        assert_eq!(caller.completion(root).await.error.unwrap().reason, "EXECUTION_CANCELLED");
        for token in &held {
            assert_eq!(worker.revocation(token).await, "EXECUTION_CANCELLED");
        }
        for call in calls {
            let error = worker.completion(call).await.error.unwrap();
            assert_eq!(error.reason, "EXECUTION_CANCELLED");
        }
        assert_eq!(servers.unended(), [""; 0]);
    });
}

#[test]
fn what_is_claimed_for_a_session_that_is_gone_is_given_back() {
    under_seeds(60, async |servers| {
        let mut caller = servers.client(1, 1).await;
        let mut gone = servers.client(0, 2).await;
        gone.listen(20).await;
        let calls: Vec<_> = (0..10_u8)
            .map(|byte| caller.ask(Asked::CreateExecution(call(&format!("e{byte}"), byte))))
            .collect();
        for _ in 0..servers.seed {
            tokio::task::yield_now().await;
        }
        gone.close();
        let mut worker = servers.client(0, 3).await;
        worker.listen(20).await;
        for _ in &calls {
            let activation = worker.activation().await;
            worker.carry_out(complete(&activation)).await.unwrap();
        }
        for call in calls {
            assert_eq!(caller.completion(call).await.error, None);
        }
    });
}

#[test]
fn a_caller_that_goes_takes_its_calls_with_it() {
    under_seeds(15, async |servers| {
        let mut worker = servers.client(1, 2).await;
        worker.listen(10).await;
        let mut caller = servers.client(0, 1).await;
        caller.ask(Asked::CreateExecution(call("e", 0)));
        let activation = worker.activation().await;
        drop(caller);
        assert_eq!(worker.revocation(&activation.reservation).await, "EXECUTION_CANCELLED");
        let late = worker.carry_out(complete(&activation)).await.unwrap_err();
        assert_eq!(late.reason, "RESERVATION_LOST");
    });
}
