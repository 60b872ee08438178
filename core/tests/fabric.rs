//! The client against a real server in this process.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use hello::{cbor, connect, greet, read, server};
use perper::{
    ErrorKind, Failure, Result,
    protocol::{
        Activation, DictionaryOperation, ExecutionFilter, Fabric, ListOperation, ListenEvent, ListenFrom,
        ListenOptions, ListenerOptions, NewExecution, NewInstance, NewStream, PageRequest, StreamOptions,
        WatchEvent, WriterOptions,
    },
};

mod hello;

fn filter(agent: &str) -> Vec<ExecutionFilter> {
    vec![ExecutionFilter { agent: agent.into(), ..ExecutionFilter::default() }]
}

/// A worker that doubles numbers, refuses 13 and releases nothing; ends with its listen.
async fn serve(fabric: Fabric) -> Result<()> {
    let mut listen = fabric.listen(ListenOptions { filters: filter("Hello"), ..ListenOptions::default() });
    while let Some(events) = listen.next().await? {
        for event in events {
            let ListenEvent::Activation(activation) = event else { continue };
            let Activation { execution, reservation, arguments, .. } = *activation;
            let number: i64 = read(&arguments[0]);
            let outcome = match number {
                13 => {
                    Err(Failure { type_name: "BadLuck".into(), message: "13".into(), ..Failure::default() })
                }
                number => Ok(vec![cbor(2 * number)]),
            };
            drop(fabric.complete_execution(execution, reservation, outcome));
        }
    }
    Ok(())
}

#[tokio::test]
async fn calls_return_results_and_errors() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let worker = tokio::spawn(serve(connect(server.address()).await));
    assert_eq!(fabric.call_execution(greet(&fabric, 21)).await?, [cbor(42)]);
    let error = fabric.call_execution(greet(&fabric, 13)).await.expect_err("bad luck");
    assert_eq!(error.kind(), ErrorKind::ExecutionFailed);
    assert_eq!(error.failure().map(|failure| failure.type_name.as_str()), Some("BadLuck"));
    let calls: Vec<_> = (100..1100).map(|number| fabric.call_execution(greet(&fabric, number))).collect();
    for (number, call) in (100..).zip(calls) {
        assert_eq!(call.await?, [cbor(2 * number)]);
    }
    worker.abort();
    Ok(())
}

#[tokio::test]
async fn creating_waiting_and_forgetting() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let execution = NewExecution { manual: true, ..greet(&fabric, 1) };
    let id = execution.execution.clone();
    assert!(fabric.create_execution(execution.clone()).await?);
    assert!(!fabric.create_execution(execution.clone()).await?);
    let other = NewExecution { delegate: "Other".into(), ..execution };
    assert_eq!(
        fabric.create_execution(other).await.expect_err("other content").kind(),
        ErrorKind::AlreadyExists
    );
    let wait = fabric.wait_execution(id.as_str());
    fabric.complete_execution(id.as_str(), Bytes::new(), Ok(vec![cbor(1), cbor("two")])).await?;
    assert_eq!(wait.await?, [cbor(1), cbor("two")]);
    let info = fabric.get_execution(id.as_str(), false).await?;
    assert_eq!(info.end.and_then(|end| end.ok()).map(|results| results.len()), Some(2));
    fabric.forget_execution(id.as_str()).await?;
    assert!(fabric.get_execution(id.as_str(), true).await.is_err());
    Ok(())
}

#[tokio::test]
async fn dropping_a_call_cancels_and_revokes() -> Result<()> {
    let server = server().await;
    let (caller, worker) = (connect(server.address()).await, connect(server.address()).await);
    let mut listen = worker.listen(ListenOptions { filters: filter("Hello"), ..ListenOptions::default() });
    let call = caller.call_execution(greet(&caller, 1));
    let activation = next_activation(&mut listen).await?;
    drop(call);
    // It may come together with others, such as that the start is reached.
    let revoked = 'revoked: loop {
        for event in listen.next().await?.expect("the listen goes on") {
            if let ListenEvent::Revocation { reservation, reason } = event {
                break 'revoked (reservation, reason);
            }
        }
    };
    assert_eq!(revoked, (activation.reservation.clone(), ErrorKind::ExecutionCancelled));
    let late = worker.complete_execution(activation.execution, activation.reservation, Ok(Vec::new()));
    assert!(late.await.is_err());
    Ok(())
}

async fn next_activation(listen: &mut perper::protocol::Listen) -> Result<Activation> {
    loop {
        for event in listen.next().await?.expect("the listen goes on") {
            if let ListenEvent::Activation(activation) = event {
                return Ok(*activation);
            }
        }
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let call = NewExecution { timeout: Some(Duration::from_millis(50)), ..greet(&fabric, 1) };
    let error = fabric.call_execution(call).await.expect_err("nobody serves it");
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    Ok(())
}

#[tokio::test]
async fn a_released_execution_goes_to_the_next_listen() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let call = fabric.call_execution(greet(&fabric, 1));
    let options = ListenOptions { filters: filter("Hello"), ..ListenOptions::default() };
    let mut first = fabric.listen(options.clone());
    let activation = next_activation(&mut first).await?;
    first.stop();
    fabric.release_execution(activation.execution, activation.reservation).await?;
    assert_eq!(first.next().await?, None);
    let mut second = fabric.listen(options);
    let activation = next_activation(&mut second).await?;
    fabric.complete_execution(activation.execution, activation.reservation, Ok(vec![cbor(7)])).await?;
    assert_eq!(call.await?, [cbor(7)]);
    Ok(())
}

#[tokio::test]
async fn an_instance_is_started_and_stopped() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let worker = connect(server.address()).await;
    let worker = tokio::spawn(async move {
        let mut listen = worker.listen(ListenOptions { filters: filter("Shop"), ..ListenOptions::default() });
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let activation = next_activation(&mut listen).await?;
            seen.push(activation.delegate);
            worker
                .complete_execution(activation.execution, activation.reservation, Ok(vec![cbor("ok")]))
                .await?;
        }
        Ok::<_, perper::Error>(seen)
    });
    let instance = NewInstance { agent: "Shop".into(), instance: fabric.new_id(), ..NewInstance::default() };
    let started = fabric.start_instance(instance.clone()).await?;
    assert_eq!(started.results, [cbor("ok")]);
    let listed = fabric.list_instances("Shop", PageRequest::default()).await?;
    assert_eq!(listed.entries.len(), 1);
    assert_eq!(listed.entries[0].incarnation, started.incarnation);
    assert!(fabric.stop_instance(instance.instance.as_str(), false, None).await?);
    assert!(!fabric.stop_instance(instance.instance.as_str(), false, None).await?);
    assert_eq!(worker.await.expect("no panic")?, ["Start", "Stop"]);
    Ok(())
}

#[tokio::test]
async fn items_arrive_in_order_each_once() -> Result<()> {
    const ITEMS: i64 = 20_000;
    let server = server().await;
    let (source, sink) = (connect(server.address()).await, connect(server.address()).await);
    let stream = source.new_id();
    source.create_stream(NewStream::new(&stream)).await?;
    let mut listener = sink.attach_listener(ListenerOptions::new(&stream));
    listener.attached().await?;
    let writing = tokio::spawn({
        let stream = stream.clone();
        async move {
            let writer = source.writer(WriterOptions::new(&stream));
            for number in 0..ITEMS {
                writer.write(&cbor(number)).await?;
            }
            writer.flush().await?;
            source.complete_stream(stream, Bytes::new(), None).await
        }
    });
    let (mut expected, mut last) = (0, i64::MIN);
    while let Some(item) = listener.next().await? {
        assert_eq!(read::<i64>(&item.value), expected);
        assert!(item.key > last);
        (expected, last) = (expected + 1, item.key);
    }
    assert_eq!(expected, ITEMS);
    writing.await.expect("no panic")
}

#[tokio::test]
async fn keys_of_ones_own_and_a_stream_that_ends_with_an_error() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let options = StreamOptions { persistent: true, ..StreamOptions::default() };
    fabric.create_stream(NewStream { options, ..NewStream::new("s") }).await?;
    let writer = fabric.writer(WriterOptions::new("s"));
    for key in [-5, 3, 1000] {
        writer.write_keyed(key, &cbor(key)).await?;
    }
    writer.flush().await?;
    writer.write_keyed(1000, &cbor("again")).await?;
    assert_eq!(writer.flush().await.expect_err("not increasing").kind(), ErrorKind::StreamKeyNotIncreasing);
    let ended = perper::Error::new(ErrorKind::StreamAbandoned, "enough");
    fabric.complete_stream("s", Bytes::new(), Some(&ended)).await?;

    let mut listener =
        fabric.attach_listener(ListenerOptions { from: ListenFrom::Key(3), ..ListenerOptions::new("s") });
    for key in [3, 1000] {
        assert_eq!(listener.next().await?.map(|item| item.key), Some(key));
    }
    assert_eq!(listener.next().await.expect_err("the stream's").message(), "enough");
    let page = fabric.read_items("s", None, 0).await?;
    let keys: Vec<_> = page.batches.into_iter().flatten().map(|item| item.key).collect();
    assert_eq!(keys, [-5, 3, 1000]);
    let info = fabric.get_stream("s").await?;
    assert_eq!((info.first_key, info.last_key, info.items_written), (Some(-5), Some(1000), 3));
    Ok(())
}

#[tokio::test]
async fn a_packed_stream_waits_at_a_gap() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let options = StreamOptions { stride: 10, first_key: 5, ..StreamOptions::default() };
    fabric.create_stream(NewStream { options, ..NewStream::new("s") }).await?;
    let mut listener =
        fabric.attach_listener(ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new("s") });
    listener.attached().await?;
    let writer = fabric.writer(WriterOptions { stride: 10, ..WriterOptions::new("s") });
    for key in [25, 35, 5, 15, 65] {
        writer.write_keyed(key, &cbor(key)).await?;
    }
    writer.flush().await?;
    fabric.complete_stream("s", Bytes::new(), None).await?;
    let mut keys = Vec::new();
    while let Some(item) = listener.next().await? {
        assert_eq!(read::<i64>(&item.value), item.key);
        keys.push(item.key);
    }
    assert_eq!(keys, [5, 15, 25, 35, 65]);
    assert_eq!(listener.end().map(|end| end.skipped), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_named_listener_goes_on_where_it_was_acknowledged() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    fabric.create_stream(NewStream::new("s")).await?;
    let named =
        ListenerOptions { name: "n".into(), from: ListenFrom::Beginning, ..ListenerOptions::new("s") };
    let mut listener = fabric.attach_listener(named.clone());
    listener.attached().await?;
    fabric.write_items("s", Bytes::new(), (0..5).map(cbor)).await?;
    for number in 0..3 {
        assert_eq!(read::<i32>(&listener.next().await?.expect("an item").value), number);
    }
    listener.acknowledge(false);
    fabric.close().await?;

    let fabric = connect(server.address()).await;
    let mut listener = fabric.attach_listener(named.clone());
    // The third was handed out, but not said to be processed.
    assert_eq!(read::<i32>(&listener.next().await?.expect("an item").value), 2);
    let mut other = fabric.attach_listener(named);
    other.attached().await?;
    let taken = loop {
        match listener.next().await {
            Ok(item) => assert!(item.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(taken.kind(), ErrorKind::ListenerTakenOver);
    fabric.remove_listener("s", "n").await?;
    Ok(())
}

#[tokio::test]
async fn dictionaries() -> Result<()> {
    use DictionaryOperation as D;
    let server = server().await;
    let fabric = connect(server.address()).await;
    fabric.create_dictionary("d", None, Vec::new(), Bytes::new()).await?;
    let key = |key: &str| cbor(key);
    let update = |operations: Vec<D>| fabric.update_dictionary("d", operations);
    let set = update(vec![D::Set { key: key("a"), value: cbor(1) }, D::Get { key: key("a") }]).await?;
    assert_eq!(set.results[1].value, Some(cbor(1)));
    let absent = update(vec![
        D::Set { key: key("b"), value: cbor(2) },
        D::SetIfAbsent { key: key("a"), value: cbor(9) },
    ]);
    assert_eq!(absent.await?.failed_operation, Some(1));
    let results = update(vec![
        D::Contains { key: key("b") },
        D::ReplaceIfEqual { key: key("a"), expected: cbor(1), value: cbor(3) },
        D::GetAndReplace { key: key("a"), value: cbor(4) },
        D::Count,
        D::GetAndRemove { key: key("a") },
    ])
    .await?
    .results;
    assert!(!results[0].applied && results[1].applied);
    assert_eq!((results[2].value.clone(), results[3].count), (Some(cbor(3)), 1));
    assert_eq!(results[4].value, Some(cbor(4)));
    let all = (0..10).map(|number| D::Set { key: cbor(number), value: cbor(number * number) }).collect();
    update(all).await?;
    let (mut entries, mut token) = (BTreeMap::new(), Bytes::new());
    loop {
        let page = fabric.enumerate_dictionary("d", false, 4, token).await?;
        entries.extend(page.entries.iter().map(|(key, value)| (read::<i32>(key), read::<i32>(value))));
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(entries, (0..10).map(|number| (number, number * number)).collect());
    fabric.destroy_dictionary("d").await
}

#[tokio::test]
async fn lists() -> Result<()> {
    use ListOperation as L;
    let server = server().await;
    let fabric = connect(server.address()).await;
    fabric.create_list("l", None, Bytes::new()).await?;
    let update = |operation| fabric.update_list("l", operation);
    for number in 0..5 {
        assert_eq!(update(L::Add(cbor(number))).await?.index, Some(number));
    }
    assert_eq!(update(L::Pop).await?.value, Some(cbor(4)));
    assert_eq!(update(L::Dequeue).await?.value, Some(cbor(0)));
    update(L::InsertAt(1, cbor(10))).await?;
    update(L::SetAt(0, cbor(11))).await?;
    assert_eq!(update(L::GetAt(0)).await?.value, Some(cbor(11)));
    assert_eq!(update(L::IndexOf(cbor(10))).await?.index, Some(1));
    assert!(!update(L::Contains(cbor(99))).await?.found);
    assert!(update(L::Remove(cbor(10))).await?.found);
    assert_eq!(update(L::GetAt(50)).await.expect_err("out of range").kind(), ErrorKind::IndexOutOfRange);
    let page = fabric.enumerate_list("l", 0, Bytes::new()).await?;
    assert_eq!(page.values.iter().map(read::<i32>).collect::<Vec<_>>(), [11, 2, 3]);
    assert_eq!(update(L::Clear).await?.count, 0);
    fabric.destroy_list("l").await
}

#[tokio::test]
async fn watching_what_happens() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let first = greet(&fabric, 1);
    fabric.create_execution(first.clone()).await?;
    let observed = ExecutionFilter { agent: "Hello".into(), ..ExecutionFilter::default() };
    let mut watch = fabric.observe_executions(observed, true);
    let WatchEvent::Execution(info) = watch.next().await? else { panic!("not an execution") };
    assert_eq!((info.execution.as_str(), info.arguments.len()), (first.execution.as_str(), 0));
    assert_eq!(watch.next().await?, WatchEvent::StartReached);
    fabric.forget_execution(first.execution.as_str()).await?;
    loop {
        match watch.next().await? {
            WatchEvent::ExecutionRemoved(id) => break assert_eq!(id, first.execution),
            // Its end may be seen on the way.
            WatchEvent::Execution(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    let sessions = fabric.list_sessions(PageRequest::default()).await?;
    assert_eq!((sessions.entries.len(), sessions.entries[0].library.as_str()), (1, "perper-rust"));
    Ok(())
}

#[tokio::test]
async fn closing_a_session_gives_back_at_once() -> Result<()> {
    let server = server().await;
    let (first, second) = (connect(server.address()).await, connect(server.address()).await);
    let call = second.call_execution(greet(&second, 1));
    let options = ListenOptions { filters: filter("Hello"), ..ListenOptions::default() };
    let mut listen = first.listen(options.clone());
    next_activation(&mut listen).await?;
    first.close().await?;
    let mut listen = second.listen(options);
    let activation = next_activation(&mut listen).await?;
    second.complete_execution(activation.execution, activation.reservation, Ok(Vec::new())).await?;
    assert!(call.await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_limit_of_the_server_is_told_before_anything_is_sent() -> Result<()> {
    let server = server().await;
    let fabric = connect(server.address()).await;
    let limit = fabric.server().expect("connected").value_bytes as usize;
    let writer = fabric.writer(WriterOptions::new("s"));
    let error = writer.write(&vec![0; limit + 1]).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    Ok(())
}
