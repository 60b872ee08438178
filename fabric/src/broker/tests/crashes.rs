//! One server goes between the steps of something; the other carries it through.

use perper_proto::v1;
use v1::request::Request as Asked;

use super::client::{Client, call, call_below, cancel, complete, value};
use super::instances::{furnish, is_gone, serve, start, stop};
use super::servers::{SHORT, Servers, config, under_seeds, under_seeds_with};
use crate::config::Config;

impl Servers {
    /// Lets the first server crash a little later, at another point for each seed.
    async fn crash_soon(&self) {
        for _ in 0..self.seed * 3 % 61 {
            tokio::task::yield_now().await;
        }
        self.crash(0);
    }
}

#[test]
fn a_tree_is_swept_by_the_other_server() {
    under_seeds(60, async |servers| {
        let mut caller = servers.client(0, 1).await;
        let mut worker = servers.client(1, 2).await;
        worker.listen(10).await;
        // What the other server's worker holds outlives the crash, what its parent's caller waited for does not.
        let root = v1::CreateExecutionRequest { wait: false, ..call("e0", 0) };
        caller.carry_out(Asked::CreateExecution(root)).await.unwrap();
        let mut held = Vec::new();
        for depth in 1..=3_u8 {
            let activation = worker.activation().await;
            let child = call_below(&activation, &format!("e{depth}"), depth);
            worker.ask(Asked::CreateExecution(child));
            held.push(activation.reservation);
        }
        caller.ask(cancel("e0"));
        let is_ended =
            |servers: &Servers| servers.engine().view_execution("e0").is_none_or(|view| view.ended.is_some());
        servers.eventually("that the root is cancelled", is_ended).await;
        servers.crash_soon().await;
        for token in &held {
            assert_eq!(worker.revocation(token).await, "EXECUTION_CANCELLED");
        }
        servers.eventually("that all is cancelled", |servers| servers.unended().is_empty()).await;
    });
}

#[test]
fn the_other_server_carries_a_stop_through() {
    under_seeds(60, async |servers| {
        let (delegates, mut asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, false, delegates));
        let mut client = servers.client(0, 1).await;
        client.carry_out(start("i")).await.unwrap();
        furnish(&mut client, "i").await;
        client.ask(stop("i", false));
        let begun = |servers: &Servers| servers.engine().view_execution("i").is_none_or(|view| view.stopping);
        servers.eventually("that the stop begins", begun).await;
        servers.crash_soon().await;
        servers.eventually("that the instance is gone", is_gone).await;
        let mut stops = 0;
        while let Ok(delegate) = asked.try_recv() {
            stops += u32::from(delegate == "Stop");
        }
        assert_eq!(stops, 1, "Stop is called once, whoever calls it");
    });
}

#[test]
fn a_failed_start_is_cleaned_up_by_the_other_server() {
    under_seeds(40, async |servers| {
        let (delegates, mut asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, true, delegates));
        let mut client = servers.client(0, 1).await;
        client.ask(start("i"));
        assert_eq!(asked.recv().await.unwrap(), "Start");
        servers.crash_soon().await;
        servers.eventually("that the instance is removed", is_gone).await;
    });
}

#[test]
fn a_worker_goes_on_at_the_other_server() {
    under_seeds(40, async |servers| {
        let mut caller = servers.client(1, 1).await;
        let mut worker = servers.client(0, 2).await;
        worker.listen(2).await;
        let call = caller.ask(Asked::CreateExecution(call("e", 7)));
        let activation = worker.activation().await;
        let crashes = servers.seed % 2 == 0;
        if crashes {
            servers.crash_soon().await;
        }
        let held = [activation.reservation.clone()];
        let mut moved =
            Client::attach(servers.broker(1), 2, true, &held).await.expect("any server takes the session");
        if !crashes {
            let told = worker.ended().await;
            assert!(told.contains("attached by another connection"), "{told}");
        }
        moved.carry_out(complete(&activation)).await.expect("the reservation stands");
        assert_eq!(caller.completion(call).await.results, [value(7)]);
        assert_eq!(moved.revocations, []);
    });
}

#[test]
fn what_a_lost_worker_held_is_given_to_another() {
    under_seeds_with(Config { session_lease: SHORT, ..config() }, 4, async |servers| {
        let mut caller = servers.client(1, 1).await;
        let mut lost = servers.client(0, 2).await;
        lost.listen(1).await;
        let call = caller.ask(Asked::CreateExecution(call("e", 7)));
        let stale = lost.activation().await;
        servers.crash(0);
        let mut worker = servers.client(1, 3).await;
        worker.listen(1).await;
        // The others give signs of life while the lost one's lease runs out.
        let activation = loop {
            tokio::select! {
                activation = worker.activation() => break activation,
                () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
            }
            worker.acknowledge(0);
            caller.acknowledge(0);
        };
        assert_eq!(activation.attempt, 2);
        let refused = worker.carry_out(complete(&stale)).await.unwrap_err();
        assert_eq!(refused.reason, "RESERVATION_LOST");
        worker.carry_out(complete(&activation)).await.unwrap();
        assert_eq!(caller.completion(call).await.results, [value(7)]);
    });
}
