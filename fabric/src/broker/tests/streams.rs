use perper_proto::v1;
use v1::attach_listener_request::Start;
use v1::request::Request as Asked;
use v1::response::Response;

use super::client::{Client, call, complete, value};
use super::servers::under_seeds;

fn create(stream: &str, options: v1::StreamOptions) -> Asked {
    Asked::CreateStream(v1::CreateStreamRequest {
        stream: stream.into(),
        options: Some(options),
        ..Default::default()
    })
}

fn write(stream: &str, first_key: i64, count: u32) -> Asked {
    let values: Vec<u8> = (0..count).flat_map(|at| [1, (first_key as u8 + at as u8) % 24]).collect();
    let batch =
        v1::ItemBatch { count, first_key: Some(first_key), key_deltas: Vec::new(), values: values.into() };
    Asked::WriteItems(v1::WriteItemsRequest {
        stream: stream.into(),
        writer: 1,
        batch: Some(batch),
        ..Default::default()
    })
}

fn attach(stream: &str, name: &str, credit: u64, start: Option<Start>) -> Asked {
    Asked::AttachListener(v1::AttachListenerRequest {
        stream: stream.into(),
        name: name.into(),
        credit_items: credit,
        credit_bytes: 1_000_000,
        start,
        ..Default::default()
    })
}

fn keys(items: &[(i64, u8)]) -> Vec<i64> {
    items
        .iter()
        .map(|(key, byte)| {
            assert_eq!(*byte, *key as u8 % 24);
            *key
        })
        .collect()
}

/// Takes so many items, acknowledging each and giving credit for the next.
async fn take(client: &mut Client, listener: u64, count: usize) -> Vec<(i64, u8)> {
    let mut seen = 0;
    while seen < count {
        let items = client.items(listener, seen + 1).await;
        client.grant(listener, (items.len() - seen) as u64, items.last().map(|(key, _)| *key));
        seen = items.len();
    }
    client.items(listener, count).await
}

#[test]
fn what_is_said_to_a_listener_before_it_is_attached_counts() {
    under_seeds(40, async |servers| {
        let mut writer = servers.client(0, 1).await;
        let mut reader = servers.client(1, 2).await;
        let options = v1::StreamOptions { backlog_items: 2, stride: 1, ..Default::default() };
        writer.carry_out(create("s", options)).await.unwrap();
        let listener = reader.ask(attach("s", "", 1, None));
        // Not waiting for the answer: credit for one more, and then for another.
        reader.grant(listener, 1, None);
        reader.grant(listener, 1, None);
        // A stream that nobody listens to yet makes no writer wait.
        reader.outcome(listener).await.unwrap();
        writer.carry_out(write("s", 0, 1)).await.unwrap();
        writer.carry_out(write("s", 1, 1)).await.unwrap();
        let waits = writer.ask(write("s", 2, 1));
        assert_eq!(keys(&reader.items(listener, 2).await), [0, 1]);
        // Attached anew, and what has been processed said at once: the writer waits for nothing else.
        let again = reader.ask(attach("s", "", 3, Some(Start::ResumeAfter(1))));
        reader.grant(again, 0, Some(1));
        writer.outcome(waits).await.unwrap();
        assert_eq!(keys(&reader.items(again, 1).await), [2]);
        // Let go before it is there: it leaves nothing behind.
        let other = reader.ask(attach("s", "named", 1, None));
        let detach =
            Asked::DetachListener(v1::DetachListenerRequest { listener: other, ..Default::default() });
        reader.carry_out(detach).await.unwrap();
        reader.outcome(other).await.unwrap();
        servers
            .eventually("the named listener is let go", |servers| {
                let listeners = servers.engine().scan_listeners(Some("s"), ("", ""), 10);
                listeners.iter().any(|listener| listener.name == "named")
                    && listeners.iter().all(|listener| listener.name.is_empty() || !listener.attached)
            })
            .await;
    });
}

#[test]
fn items_come_in_order_to_the_other_server_and_the_end_last() {
    under_seeds(40, async |servers| {
        let mut writer = servers.client(0, 1).await;
        let mut reader = servers.client(1, 2).await;
        writer.carry_out(create("s", v1::StreamOptions::default())).await.unwrap();
        let waits = writer.ask(Asked::WaitForListener(v1::WaitForListenerRequest { stream: "s".into() }));
        let listener = reader.ask(attach("s", "", 3, None));
        reader.outcome(listener).await.unwrap();
        writer.outcome(waits).await.expect("the listener is told of");
        // Every batch in flight at once, whatever is lost on the way.
        let batches: Vec<Asked> = (0..20).map(|batch| write("s", 1 + batch * 3, 3)).collect();
        let mut sequences = writer.ask_all(batches);
        let end = v1::CompleteStreamRequest { stream: "s".into(), ..Default::default() };
        sequences.push(writer.ask(Asked::CompleteStream(end)));
        let items = take(&mut reader, listener, 60).await;
        assert_eq!(keys(&items), (1..=60).collect::<Vec<_>>());
        assert!(matches!(reader.notice(listener).await, v1::notice::Notice::End(_)));
        assert_eq!(reader.items[&listener].len(), 60);
        for sequence in sequences {
            writer.outcome(sequence).await.unwrap();
        }
    });
}

#[test]
fn a_listener_that_attaches_while_its_session_ends_leaves_nothing() {
    under_seeds(40, async |servers| {
        let mut client = servers.client(0, 1).await;
        let mut other = servers.client(1, 2).await;
        other.carry_out(create("s", v1::StreamOptions::default())).await.unwrap();
        client.ask(attach("s", "", 3, None));
        for _ in 0..servers.seed {
            tokio::task::yield_now().await;
        }
        client.close();
        servers
            .eventually("that the listener is gone with its session", |servers| {
                servers.engine().scan_listeners(Some("s"), ("", ""), 10).is_empty()
                    && servers.broker(0).count_sessions() == 0
            })
            .await;
        // Nor does it come later.
        for byte in 0..20 {
            other.carry_out(write("s", 1 + byte, 1)).await.unwrap();
        }
        assert_eq!(servers.engine().scan_listeners(Some("s"), ("", ""), 10).len(), 0);
    });
}

#[test]
fn who_waits_for_a_listener_learns_that_the_stream_is_gone() {
    under_seeds(20, async |servers| {
        let mut waiting = servers.client(0, 1).await;
        let mut other = servers.client(1, 2).await;
        other.carry_out(create("s", v1::StreamOptions::default())).await.unwrap();
        let waits = waiting.ask(Asked::WaitForListener(v1::WaitForListenerRequest { stream: "s".into() }));
        let destroy = v1::DestroyStreamRequest { stream: "s".into(), identity: None };
        other.carry_out(Asked::DestroyStream(destroy)).await.unwrap();
        assert_eq!(waiting.outcome(waits).await.unwrap_err().reason, "NOT_FOUND");
    });
}

#[test]
fn a_named_listener_is_taken_over_at_the_other_server() {
    under_seeds(60, async |servers| {
        let mut first = servers.client(0, 1).await;
        let mut second = servers.client(1, 2).await;
        let persistent = v1::StreamOptions { persistent: true, ..Default::default() };
        first.carry_out(create("s", persistent)).await.unwrap();
        let batches = (0..10).map(|batch| write("s", 1 + batch * 2, 2)).collect();
        for sequence in first.ask_all(batches) {
            first.outcome(sequence).await.unwrap();
        }
        let former = first.ask(attach("s", "name", 4, Some(Start::Beginning(true))));
        // Taken over at once for some seeds, so that the former may hear of that before it hears that it is attached.
        let had = if servers.seed % 3 == 0 { 0 } else { take(&mut first, former, 4).await.len() as i64 };
        if had == 0 {
            first.outcome(former).await.unwrap();
        }
        let latter = second.ask(attach("s", "name", 3, None));
        let Ok(Some(Response::AttachListener(attached))) = second.outcome(latter).await else {
            panic!("the listener cannot be taken over")
        };
        assert!(attached.start_key <= had + 1, "{} after {had}", attached.start_key);
        match first.notice(former).await {
            v1::notice::Notice::Error(error) => assert_eq!(error.reason, "LISTENER_TAKEN_OVER"),
            other => panic!("{other:?}"),
        }
        let rest = usize::try_from(21 - attached.start_key.max(1)).unwrap();
        let items = take(&mut second, latter, rest).await;
        assert_eq!(keys(&items), (attached.start_key.max(1)..=20).collect::<Vec<_>>());
        // What the former says from now on changes nothing, and it gets nothing more.
        first.grant(former, 100, Some(20));
        assert!(first.items.get(&former).is_none_or(|items| items.len() <= 8));
    });
}

#[test]
fn writers_wait_for_listeners_at_the_other_server() {
    under_seeds(40, async |servers| {
        let mut writer = servers.client(0, 1).await;
        let mut reader = servers.client(1, 2).await;
        let bounded = v1::StreamOptions { backlog_items: 4, ..Default::default() };
        writer.carry_out(create("s", bounded)).await.unwrap();
        let listener = reader.ask(attach("s", "", 2, None));
        reader.outcome(listener).await.unwrap();
        let sequences = writer.ask_all((0..12).map(|batch| write("s", 1 + batch * 2, 2)).collect());
        let items = take(&mut reader, listener, 24).await;
        assert_eq!(keys(&items), (1..=24).collect::<Vec<_>>());
        for sequence in sequences {
            writer.outcome(sequence).await.expect("room was made");
        }
    });
}

#[test]
fn a_generator_starts_with_its_listener_and_ends_its_stream() {
    under_seeds(40, async |servers| {
        let mut client = servers.client(0, 1).await;
        let mut worker = servers.client(1, 2).await;
        worker.listen(2).await;
        let stream = v1::CreateStreamRequest {
            stream: "s".into(),
            linked_execution: "e".into(),
            ..Default::default()
        };
        let generator = v1::CreateExecutionRequest {
            linked_stream: "s".into(),
            starts_on_listener: true,
            wait: false,
            ..call("e", 0)
        };
        for sequence in client.ask_all(vec![Asked::CreateStream(stream), Asked::CreateExecution(generator)]) {
            client.outcome(sequence).await.unwrap();
        }
        let listener = client.ask(attach("s", "", 10, None));
        let activation = worker.activation().await;
        let Asked::WriteItems(batch) = write("s", 1, 3) else { unreachable!() };
        let reservation = activation.reservation.clone();
        let written =
            worker.carry_out(Asked::WriteItems(v1::WriteItemsRequest { reservation, ..batch })).await;
        written.unwrap();
        worker.carry_out(complete(&activation)).await.unwrap();
        assert_eq!(keys(&client.items(listener, 3).await), [1, 2, 3]);
        match client.notice(listener).await {
            v1::notice::Notice::End(end) => assert_eq!(end.error, None),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn each_value_of_a_list_is_popped_once() {
    under_seeds(40, async |servers| {
        use v1::update_list_request::Operation;
        let on_list = |operation| {
            Asked::UpdateList(v1::UpdateListRequest {
                list: "l".into(),
                operation: Some(operation),
                identity: None,
            })
        };
        let mut clients = [servers.client(0, 1).await, servers.client(1, 2).await];
        let list = v1::CreateListRequest { list: "l".into(), ..Default::default() };
        clients[0].carry_out(Asked::CreateList(list)).await.unwrap();
        let adds = (0..20).map(|byte| on_list(Operation::Add(value(byte)))).collect();
        for sequence in clients[0].ask_all(adds) {
            clients[0].outcome(sequence).await.unwrap();
        }
        let mut popped = Vec::new();
        let pops = || (0..10).map(|_| on_list(Operation::Dequeue(v1::ListDequeue {}))).collect();
        let sequences = clients.each_mut().map(|client| client.ask_all(pops()));
        for (client, sequences) in clients.iter_mut().zip(sequences) {
            let mut of_one = Vec::new();
            for sequence in sequences {
                match client.outcome(sequence).await {
                    Ok(Some(Response::UpdateList(response))) => of_one.extend(response.value),
                    other => panic!("{other:?}"),
                }
            }
            assert!(of_one.is_sorted(), "requests of one session take effect in order: {of_one:?}");
            popped.extend(of_one);
        }
        popped.sort();
        assert_eq!(popped, (0..20).map(value).collect::<Vec<_>>());
    });
}
