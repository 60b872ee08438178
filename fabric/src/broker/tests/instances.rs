use perper_proto::v1;
use v1::request::Request as Asked;
use v1::response::Response;

use super::client::{Client, call, complete};
use super::servers::{Servers, under_seeds};

pub(super) fn start(instance: &str) -> Asked {
    Asked::StartInstance(v1::StartInstanceRequest {
        agent: "A".into(),
        instance: instance.into(),
        ..Default::default()
    })
}

pub(super) fn stop(instance: &str, force: bool) -> Asked {
    Asked::StopInstance(v1::StopInstanceRequest { instance: instance.into(), force, ..Default::default() })
}

/// Serves Start and Stop of agent "A", and lets every other call run on; answers the delegates it was asked for.
pub(super) async fn serve(
    mut worker: Client,
    fails: bool,
    delegates: tokio::sync::mpsc::UnboundedSender<String>,
) {
    let listen = worker.listen(4).await;
    loop {
        let activation = worker.activation().await;
        worker.grant(listen, 1, None);
        drop(delegates.send(activation.delegate.clone()));
        match &*activation.delegate {
            "Start" if fails => {
                let failure = v1::Failure { r#type: "No".into(), ..Default::default() };
                worker.ask(Asked::CompleteExecution(v1::CompleteExecutionRequest {
                    execution: activation.execution,
                    reservation: activation.reservation,
                    failure: Some(failure),
                    ..Default::default()
                }));
            }
            "Start" | "Stop" => drop(worker.ask(complete(&activation))),
            _ => {}
        }
    }
}

/// Things of every kind that the instance owns, and a call that it works on.
pub(super) async fn furnish(client: &mut Client, instance: &str) -> u64 {
    let owner = || Some(v1::Owner { instance: instance.into() });
    let things = vec![
        Asked::CreateStream(v1::CreateStreamRequest {
            stream: "s".into(),
            owner: owner(),
            ..Default::default()
        }),
        Asked::CreateDictionary(v1::CreateDictionaryRequest {
            dictionary: "d".into(),
            owner: owner(),
            ..Default::default()
        }),
        Asked::CreateList(v1::CreateListRequest { list: "l".into(), owner: owner(), ..Default::default() }),
        Asked::CreateExecution(v1::CreateExecutionRequest {
            agent: "B".into(),
            owner: owner(),
            wait: false,
            ..call("owned", 0)
        }),
        start_owned(instance),
    ];
    let mut sequences = client.ask_all(things);
    let owned_instance = sequences.pop().unwrap();
    for sequence in sequences {
        client.outcome(sequence).await.unwrap();
    }
    client.outcome(owned_instance).await.unwrap();
    client.ask(Asked::CreateExecution(v1::CreateExecutionRequest {
        instance: instance.into(),
        ..call("works", 0)
    }))
}

fn start_owned(owner: &str) -> Asked {
    Asked::StartInstance(v1::StartInstanceRequest {
        agent: "A".into(),
        instance: "owned instance".into(),
        owner: Some(v1::Owner { instance: owner.into() }),
        ..Default::default()
    })
}

/// Whether nothing is left of the instance and what it owned.
pub(super) fn is_gone(servers: &Servers) -> bool {
    let engine = servers.engine();
    servers.unended().is_empty()
        && engine.owned_by("i").is_empty()
        && engine.view_execution("i").is_none()
        && engine.view_execution("owned instance").is_none()
        && engine.view_stream("s").is_none()
        && engine.scan_states((v1::StateKind::Unspecified, ""), 10).is_empty()
}

#[test]
fn an_instance_goes_with_all_it_owns() {
    under_seeds(30, async |servers| {
        let (delegates, mut asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, false, delegates));
        let mut client = servers.client(0, 1).await;
        match client.carry_out(start("i")).await {
            Ok(Some(Response::StartInstance(started))) => {
                assert_eq!(started.end.unwrap().error, None);
                assert_ne!(started.incarnation, 0);
            }
            other => panic!("{other:?}"),
        }
        let works = furnish(&mut client, "i").await;
        // Its call has begun.
        while asked.recv().await.unwrap() != "d" {}
        match client.carry_out(stop("i", false)).await {
            Ok(Some(Response::StopInstance(stopped))) => assert!(stopped.existed),
            other => panic!("{other:?}"),
        }
        assert_eq!(asked.recv().await.unwrap(), "Stop");
        assert_eq!(client.completion(works).await.error.unwrap().reason, "OWNER_GONE");
        assert!(is_gone(&servers), "{:?}", servers.unended());
        assert!(asked.try_recv().is_err(), "the owned instance is not stopped politely, nor this one twice");
    });
}

#[test]
fn an_instance_whose_own_execution_is_done_away_with_goes_with_all_it_owns() {
    under_seeds(20, async |servers| {
        let (delegates, _asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, false, delegates));
        let mut client = servers.client(0, 1).await;
        client.carry_out(start("i")).await.unwrap();
        furnish(&mut client, "i").await;
        let away = if servers.seed % 2 == 0 {
            Asked::ForgetExecution(v1::ForgetExecutionRequest { execution: "i".into(), identity: None })
        } else {
            super::client::cancel("i")
        };
        client.carry_out(away).await.unwrap();
        servers.eventually("that the instance is gone", is_gone).await;
    });
}

#[test]
fn instances_that_own_each_other_can_be_stopped() {
    under_seeds(10, async |servers| {
        let (delegates, _asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, false, delegates));
        let mut client = servers.client(0, 1).await;
        for (instance, owner) in [("i", "owned instance"), ("owned instance", "i")] {
            let owner = Some(v1::Owner { instance: owner.into() });
            let start = v1::StartInstanceRequest {
                agent: "A".into(),
                instance: instance.into(),
                owner,
                ..Default::default()
            };
            client.carry_out(Asked::StartInstance(start)).await.unwrap();
        }
        client.carry_out(stop("i", false)).await.unwrap();
        servers.eventually("that both are gone", is_gone).await;
    });
}

#[test]
fn an_instance_that_fails_to_start_is_removed() {
    under_seeds(20, async |servers| {
        let (delegates, _asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(servers.client(1, 2).await, true, delegates));
        let mut client = servers.client(0, 1).await;
        match client.carry_out(start("i")).await {
            Ok(Some(Response::StartInstance(started))) => {
                assert_eq!(started.end.unwrap().failure.unwrap().r#type, "No");
            }
            other => panic!("{other:?}"),
        }
        servers.eventually("that the instance is removed", is_gone).await;
        // As a client does whose connection broke before it had the answer.
        match client.carry_out(start("i")).await {
            Ok(Some(Response::StartInstance(started))) => {
                assert_eq!(started.end.unwrap().failure.unwrap().r#type, "No");
            }
            other => panic!("{other:?}"),
        }
    });
}
