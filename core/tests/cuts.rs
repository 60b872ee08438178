//! Connections that break at chosen places. The users of a client must see nothing of it, which is checked by value:
//! what was done once is there once.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use hello::{cbor, connect, greet, read, server};
use perper::{
    Result,
    protocol::{
        DictionaryOperation, ExecutionFilter, Fabric, ListOperation, Listen, ListenEvent, ListenFrom,
        ListenOptions, ListenerOptions, NewStream, StreamOptions, WriterOptions,
    },
};
use perper_fabric::RunningFabric;
use perper_proxy::{Cut, Proxy};

mod hello;

/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> (RunningFabric, Proxy, Fabric) {
    let server = server().await;
    let proxy = Proxy::start(server.address()).await;
    let fabric = connect(proxy.address()).await;
    (server, proxy, fabric)
}

fn listen(fabric: &Fabric) -> Listen {
    let filter = ExecutionFilter { agent: "Hello".into(), ..ExecutionFilter::default() };
    fabric.listen(ListenOptions { filters: vec![filter], ..ListenOptions::default() })
}

#[tokio::test]
async fn lists_change_once() -> Result<()> {
    let (_server, proxy, fabric) = start().await;
    fabric.create_list("l", None, Bytes::new()).await?;
    for (round, cut) in [Cut::Answer, Cut::Request].into_iter().enumerate() {
        let round = round as u64;
        proxy.cut_next(cut);
        assert_eq!(fabric.update_list("l", ListOperation::Add(cbor("a"))).await?.count, 1, "{cut:?}");
        proxy.cut_next(cut);
        assert_eq!(fabric.update_list("l", ListOperation::InsertAt(0, cbor("b"))).await?.count, 2, "{cut:?}");
        proxy.cut_next(cut);
        let popped = fabric.update_list("l", ListOperation::Pop).await?;
        assert_eq!((popped.value, popped.count), (Some(cbor("a")), 1), "{cut:?}");
        proxy.cut_next(cut);
        assert_eq!(fabric.update_list("l", ListOperation::Dequeue).await?.value, Some(cbor("b")), "{cut:?}");
        assert_eq!(fabric.update_list("l", ListOperation::Count).await?.count, 0, "{cut:?}");
        assert_eq!(proxy.cuts(), 4 * (round + 1));
    }
    Ok(())
}

#[tokio::test]
async fn dictionaries_change_once() -> Result<()> {
    let (_server, proxy, fabric) = start().await;
    for cut in [Cut::Answer, Cut::Request] {
        proxy.cut_next(cut);
        fabric.create_dictionary("d", None, Vec::new(), Bytes::new()).await?;
        let key = cbor("k");
        proxy.cut_next(cut);
        let set = DictionaryOperation::SetIfAbsent { key: key.clone(), value: cbor(1) };
        let set = fabric.update_dictionary("d", vec![set]).await?;
        assert!(set.failed_operation.is_none() && set.results[0].applied, "{cut:?}");
        proxy.cut_next(cut);
        let remove = DictionaryOperation::GetAndRemove { key };
        let removed = fabric.update_dictionary("d", vec![remove]).await?;
        assert_eq!(removed.results[0].value, Some(cbor(1)), "{cut:?}");
        proxy.cut_next(cut);
        fabric.destroy_dictionary("d").await?;
    }
    assert_eq!(proxy.cuts(), 8);
    Ok(())
}

#[tokio::test]
async fn executions_are_created_reserved_and_completed_once() -> Result<()> {
    let (server, proxy, fabric) = start().await;
    let worker = connect(server.address()).await;
    for cut in [Cut::Answer, Cut::Request] {
        // The caller's side.
        let mut listening = listen(&worker);
        proxy.cut_next(cut);
        let call = fabric.call_execution(greet(&fabric, 1));
        let activation = activation(&mut listening).await?;
        assert_eq!(activation.attempt, 1);
        let results = Ok(vec![cbor("one")]);
        worker.complete_execution(activation.execution, activation.reservation, results).await?;
        assert_eq!(call.await?, [cbor("one")], "{cut:?}");
        drop(listening);

        // The worker's.
        let mut listening = listen(&fabric);
        let call = worker.call_execution(greet(&worker, 2));
        let taken = self::activation(&mut listening).await?;
        proxy.cut_next(cut);
        let results = Ok(vec![cbor("two")]);
        fabric.complete_execution(taken.execution, taken.reservation, results).await?;
        assert_eq!(call.await?, [cbor("two")], "{cut:?}");
    }
    Ok(())
}

async fn activation(listening: &mut Listen) -> Result<perper::protocol::Activation> {
    loop {
        for event in listening.next().await?.expect("the listen goes on") {
            match event {
                ListenEvent::Activation(activation) => return Ok(*activation),
                ListenEvent::StartReached => {}
                ListenEvent::Revocation { reason, .. } => panic!("revoked: {reason}"),
            }
        }
    }
}

#[tokio::test]
async fn a_reservation_outlives_its_connection() -> Result<()> {
    let (server, proxy, worker) = start().await;
    let caller = connect(server.address()).await;
    let mut listening = listen(&worker);
    let call = caller.call_execution(greet(&caller, 1));
    let taken = activation(&mut listening).await?;
    for cut in [Cut::Answer, Cut::Request, Cut::Answer] {
        proxy.cut_next(cut);
        worker.create_list("l", None, Bytes::new()).await?;
    }
    worker.complete_execution(taken.execution, taken.reservation, Ok(vec![cbor(1)])).await?;
    assert_eq!(call.await?, [cbor(1)]);
    Ok(())
}

#[tokio::test]
async fn batches_are_appended_once() -> Result<()> {
    let (_server, proxy, fabric) = start().await;
    let options = StreamOptions { persistent: true, ..StreamOptions::default() };
    for cut in [Cut::Answer, Cut::Request] {
        let stream = fabric.new_id();
        proxy.cut_next(cut);
        fabric.create_stream(NewStream { options: options.clone(), ..NewStream::new(&stream) }).await?;
        let writer = fabric.writer(WriterOptions::new(&stream));
        for number in 0..10 {
            proxy.cut_next(cut);
            writer.write(&cbor(number)).await?;
            writer.flush().await?;
        }
        proxy.cut_next(cut);
        fabric.complete_stream(stream.as_str(), Bytes::new(), None).await?;
        let page = fabric.read_items(stream.as_str(), None, 0).await?;
        let values: Vec<i32> = page.batches.into_iter().flatten().map(|item| read(&item.value)).collect();
        assert_eq!(values, (0..10).collect::<Vec<_>>(), "{cut:?}");
    }
    assert_eq!(proxy.cuts(), 24);
    Ok(())
}

#[tokio::test]
async fn a_stream_survives_any_number_of_cuts_on_either_side() -> Result<()> {
    const ITEMS: i64 = 20_000;
    let (server, proxy, source) = start().await;
    let sink_proxy = Proxy::start(server.address()).await;
    let sink = connect(sink_proxy.address()).await;
    source.create_stream(NewStream::new("s")).await?;
    let mut listener =
        sink.attach_listener(ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new("s") });
    listener.attached().await?;
    // Two frames more than it takes to attach.
    proxy.cut_every(3);
    sink_proxy.cut_every(3);
    let writing = tokio::spawn(async move {
        let writer = source.writer(WriterOptions { bytes_in_flight: 4 << 10, ..WriterOptions::new("s") });
        for number in 0..ITEMS {
            writer.write(&cbor(number)).await?;
        }
        writer.flush().await?;
        source.complete_stream("s", Bytes::new(), None).await
    });
    let mut expected = 0;
    while let Some(item) = listener.next().await? {
        assert_eq!(read::<i64>(&item.value), expected);
        expected += 1;
    }
    assert_eq!(expected, ITEMS);
    writing.await.expect("no panic")?;
    assert!(proxy.cuts() > 3 && sink_proxy.cuts() > 3, "{} and {} cuts", proxy.cuts(), sink_proxy.cuts());
    proxy.cut_no_more();
    sink_proxy.cut_no_more();
    Ok(())
}

#[tokio::test]
async fn calls_survive_any_number_of_cuts_on_either_side() -> Result<()> {
    const CALLS: i64 = 500;
    let (server, proxy, caller) = start().await;
    let worker_proxy = Proxy::start(server.address()).await;
    let worker = connect(worker_proxy.address()).await;
    let serving = tokio::spawn({
        let worker = worker.clone();
        async move {
            let mut listening = listen(&worker);
            let mut served = BTreeSet::new();
            while served.len() < CALLS as usize {
                for event in listening.next().await?.expect("the listen goes on") {
                    let taken = match event {
                        ListenEvent::Activation(activation) => *activation,
                        ListenEvent::StartReached => continue,
                        ListenEvent::Revocation { reason, .. } => panic!("revoked: {reason}"),
                    };
                    let number: i64 = read(&taken.arguments[0]);
                    assert!(served.insert(number), "{number} was served twice");
                    let results = Ok(vec![cbor(2 * number)]);
                    drop(worker.complete_execution(taken.execution, taken.reservation, results));
                }
            }
            Ok::<_, perper::Error>(())
        }
    });
    proxy.cut_every(5);
    worker_proxy.cut_every(4);
    for round in 0..CALLS / 50 {
        let numbers = round * 50..(round + 1) * 50;
        let calls: Vec<_> =
            numbers.clone().map(|number| caller.call_execution(greet(&caller, number))).collect();
        for (number, call) in numbers.zip(calls) {
            let call = tokio::time::timeout(PATIENCE, call).await.expect("the worker has not failed");
            assert_eq!(call?, [cbor(2 * number)]);
        }
    }
    serving.await.expect("no panic")?;
    assert!(proxy.cuts() > 1 && worker_proxy.cuts() > 1, "{} and {} cuts", proxy.cuts(), worker_proxy.cuts());
    Ok(())
}
