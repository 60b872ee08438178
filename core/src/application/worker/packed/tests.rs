//! A binding in miniature: knows nothing but bytes.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Port, cursor::Cursor, packer::Packer};
use crate::{
    Agent, ErrorKind, Result,
    application::worker::WorkerOptions,
    embedded::Embedded,
    protocol::{Fabric, NewExecution},
};

fn record(packer: &mut Packer, operation: u8, request: u64, body: impl FnOnce(&mut Packer)) {
    packer.record(|packer| {
        packer.u8(operation);
        packer.u64(request);
        body(packer);
    });
}

fn submit(port: &Port, operation: u8, request: u64, body: impl FnOnce(&mut Packer)) -> Result<()> {
    let mut packer = Packer::default();
    record(&mut packer, operation, request, body);
    port.submit(packer.into_bytes())
}

/// Everything that comes next, record by record.
async fn drained(port: &Port) -> Result<Vec<Cursor>> {
    port.ready().await;
    let mut batch = Cursor::new(port.drain(1 << 20).into());
    let mut records = Vec::new();
    while !batch.is_empty() {
        records.push(batch.record()?);
    }
    Ok(records)
}

/// The answer of one request, when nothing else is expected.
async fn answer(port: &Port, request: u64) -> Result<Cursor> {
    let mut records = drained(port).await?;
    assert_eq!(records.len(), 1, "one answer");
    let mut record = records.remove(0);
    assert_eq!((record.u8()?, record.u64()?, record.u8()?), (3, request, 0));
    Ok(record)
}

struct Call {
    invocation: u64,
    delegate: String,
    arguments: Vec<Bytes>,
    remaining: u64,
    stream: Option<String>,
}

fn activation(record: &mut Cursor) -> Result<Call> {
    let invocation = record.u64()?;
    assert_eq!(record.u8()?, 0, "a delegate");
    let (_attempt, _incarnation, remaining) = (record.u32()?, record.u64()?, record.u64()?);
    let (_execution, agent, instance, delegate) =
        (record.text()?, record.text()?, record.text()?, record.text()?);
    assert_eq!((&*agent, &*instance), ("Adder", "one"));
    let (_traceparent, _tracestate) = (record.text()?, record.text()?);
    record.list(|record| Ok((record.text()?, record.text()?)))?;
    let stream = if record.bool()? {
        let stream = record.text()?;
        let (_has, _last, _items, _stride, _first, _skip) =
            (record.bool()?, record.i64()?, record.u64()?, record.u64()?, record.i64()?, record.u64()?);
        Some(stream)
    } else {
        None
    };
    let arguments = record.values()?;
    assert!(record.is_empty());
    Ok(Call { invocation, delegate, arguments, remaining, stream })
}

async fn adder(fabric: &Embedded) -> Result<Port> {
    let connection = Fabric::connect(fabric.settings()).await?;
    let options = WorkerOptions {
        agent: "Adder".into(),
        delegates: vec!["Add".into(), "Count".into()],
        ..WorkerOptions::default()
    };
    Port::serve(connection, options)
}

#[tokio::test]
async fn a_binding_answers_calls_in_batches() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = adder(&fabric).await?;
    let client = fabric.connect().await?;
    let calls: Vec<_> = (0..50i64)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                client.call_agent::<i64>(&Agent::new("Adder", "one"), "Add", (number, 1)).await
            })
        })
        .collect();
    let mut answered = 0;
    while answered < 50 {
        let mut packer = Packer::default();
        for mut event in drained(&port).await? {
            if event.u8()? != 1 {
                continue;
            }
            let call = activation(&mut event)?;
            assert_eq!((&*call.delegate, call.remaining), ("Add", 0));
            let sum: i64 = perper_values::from_slice::<i64>(&call.arguments[0])?
                + perper_values::from_slice::<i64>(&call.arguments[1])?;
            record(&mut packer, 1, 0, |packer| {
                packer.u64(call.invocation);
                packer.values(&[perper_values::to_vec(&sum).unwrap_or_default().into()]);
            });
            answered += 1;
        }
        port.submit(packer.into_bytes())?;
    }
    for (number, call) in (0i64..).zip(calls) {
        assert_eq!(call.await.expect("no panic")?, number + 1);
    }
    submit(&port, 5, 0, |_| {})?;
    let mut last = drained(&port).await?;
    assert_eq!((last.len(), last[0].u8()?, last[0].bool()?), (1, 4, false));
    Ok(())
}

#[tokio::test]
async fn a_worker_of_no_concurrency_takes_what_it_is_granted() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let options = WorkerOptions {
        agent: "Adder".into(),
        delegates: vec!["Add".into()],
        settings: crate::AgentSettings { concurrency: 0, ..Default::default() },
        ..WorkerOptions::default()
    };
    let port = Port::serve(Fabric::connect(fabric.settings()).await?, options)?;
    let client = fabric.connect().await?;
    let _calls: Vec<_> = (0..5)
        .map(|number| {
            client.fabric().call_execution(NewExecution {
                agent: "Adder".into(),
                instance: "one".into(),
                delegate: "Add".into(),
                ..NewExecution::new(format!("call {number}"))
            })
        })
        .collect();
    // More come although none has been completed, and none comes that was not asked for.
    for granted in [1, 2] {
        submit(&port, 7, 0, |packer| packer.u64(granted))?;
        let mut taken = 0;
        while taken < granted {
            taken += drained(&port).await?.len() as u64;
        }
        assert_eq!(taken, granted);
        assert!(port.drain(1 << 20).is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn generators_count_for_whoever_grants_by_hand() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let options = WorkerOptions {
        agent: "Adder".into(),
        delegates: vec!["Count".into()],
        settings: crate::AgentSettings { concurrency: 0, ..Default::default() },
        ..WorkerOptions::default()
    };
    let port = Port::serve(Fabric::connect(fabric.settings()).await?, options)?;
    let client = fabric.connect().await?.with_instance(&Agent::new("Adder", "one"));
    for _ in 0..2 {
        client.stream("Count").action().start(()).await?;
    }
    submit(&port, 7, 0, |packer| packer.u64(1))?;
    let mut events = drained(&port).await?;
    assert_eq!((events.len(), events[0].u8()?), (1, 1));
    let first = activation(&mut events[0])?;
    // The answer to whatever is asked next comes behind what the Fabric had to tell before.
    let stream = first.stream.unwrap_or_default();
    submit(&port, 25, 1, |packer| (packer.u64(0), packer.text(&stream)).1)?;
    answer(&port, 1).await?;
    submit(&port, 1, 0, |packer| (packer.u64(first.invocation), packer.count(0)).1)?;
    submit(&port, 7, 0, |packer| packer.u64(1))?;
    let mut events = drained(&port).await?;
    assert_eq!((events.len(), events[0].u8()?), (1, 1));
    Ok(())
}

#[tokio::test]
async fn failures_and_cancellations_cross() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = adder(&fabric).await?;
    let client = fabric.connect().await?;
    let call = {
        let client = client.clone();
        tokio::spawn(async move { client.call_agent::<i64>(&Agent::new("Adder", "one"), "Add", ()).await })
    };
    let mut events = drained(&port).await?;
    assert_eq!(events[0].u8()?, 1);
    let invocation = activation(&mut events[0])?.invocation;
    submit(&port, 2, 7, |packer| {
        packer.u64(invocation);
        packer.text("TypeError");
        packer.text("nothing to add");
        packer.text("line 1\nline 2");
    })?;
    let error = call.await.expect("no panic").expect_err("it was made to fail");
    let failure = error.failure().expect("what was raised");
    assert_eq!((&*failure.type_name, &*failure.stack_trace), ("TypeError", "line 1\nline 2"));
    assert_eq!(answer(&port, 7).await?.u8()?, 0);
    // A caller that goes away.
    let execution = NewExecution {
        agent: "Adder".into(),
        instance: "one".into(),
        delegate: "Add".into(),
        ..NewExecution::new("to be cancelled")
    };
    let call = client.fabric().call_execution(execution);
    let mut events = drained(&port).await?;
    assert_eq!(events[0].u8()?, 1);
    let invocation = activation(&mut events[0])?.invocation;
    drop(call);
    let mut events = drained(&port).await?;
    assert_eq!((events[0].u8()?, events[0].u64()?), (2, invocation));
    assert_eq!(
        ErrorKind::from_code(u16::from_le_bytes([events[0].u8()?, events[0].u8()?])),
        Some(ErrorKind::ExecutionCancelled)
    );
    Ok(())
}

#[tokio::test]
async fn items_are_written_and_read_in_batches() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = Port::new(Fabric::connect(fabric.settings()).await?);
    submit(&port, 20, 1, |packer| {
        packer.u64(0);
        packer.text("numbers");
        packer.bool(true);
        packer.bool(false);
        packer.u64(1);
        packer.i64(0);
        packer.u64(0);
        packer.count(0);
        packer.text("");
        packer.bool(false);
        packer.text("");
    })?;
    assert_eq!(answer(&port, 1).await?.u8()?, 0);
    submit(&port, 35, 2, |packer| {
        packer.u64(9);
        packer.text("numbers");
        packer.text("");
        packer.text("");
        packer.u8(1);
        packer.i64(0);
        packer.u64(0);
        packer.u64(0);
        packer.bool(false);
    })?;
    let mut attached = answer(&port, 2).await?;
    assert_eq!((attached.u8()?, attached.i64()?), (6, 0));
    submit(&port, 30, 0, |packer| {
        packer.u64(0);
        packer.u64(4);
        packer.text("numbers");
        packer.u64(1);
    })?;
    submit(&port, 31, 3, |packer| {
        packer.u64(4);
        packer.bool(true);
        packer.count(3);
        for key in 0..3u8 {
            packer.i64(i64::from(key));
            packer.bytes(&[key]);
        }
    })?;
    submit(&port, 32, 4, |packer| packer.u64(4))?;
    submit(&port, 36, 5, |packer| packer.u64(9))?;
    let mut seen = HashMap::new();
    while seen.len() < 3 {
        for mut record in drained(&port).await? {
            assert_eq!(record.u8()?, 3);
            seen.insert(record.u64()?, record);
        }
    }
    let items = seen.get_mut(&5).expect("the items");
    assert_eq!((items.u8()?, items.u8()?), (0, 4));
    let keys = items.list(Cursor::i64)?;
    assert_eq!(keys, [0, 1, 2]);
    assert_eq!(items.bytes()?.as_ref(), [1, 0, 1, 1, 1, 2]);
    submit(&port, 37, 0, |packer| (packer.u64(9), packer.i64(2)).1)?;
    submit(&port, 22, 6, |packer| (packer.u64(0), packer.text("numbers"), packer.bool(false)).2)?;
    submit(&port, 36, 8, |packer| packer.u64(9))?;
    let mut seen = HashMap::new();
    while seen.len() < 2 {
        for mut record in drained(&port).await? {
            assert_eq!(record.u8()?, 3);
            seen.insert(record.u64()?, record);
        }
    }
    let end = seen.get_mut(&8).expect("the end");
    assert_eq!((end.u8()?, end.u8()?, end.u64()?), (0, 5, 0));
    Ok(())
}

#[tokio::test]
async fn one_item_is_written_and_its_key_told() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let stream = fabric.connect().await?.blank_stream().persistent().create().await?.stream;
    let port = Port::new(Fabric::connect(fabric.settings()).await?);
    submit(&port, 34, 1, |packer| (packer.text(&stream), packer.bytes(&[7])).1)?;
    let mut written = answer(&port, 1).await?;
    assert_eq!(written.u8()?, 2);
    let key = written.i64()?;
    submit(&port, 27, 2, |packer| {
        packer.u64(0);
        packer.text(&stream);
        packer.bool(false);
        packer.i64(0);
        packer.u32(10);
    })?;
    let mut page = answer(&port, 2).await?;
    assert_eq!((page.u8()?, page.u32()?, page.list(Cursor::i64)?), (12, 1, vec![key]));
    assert_eq!(page.bytes()?.as_ref(), [1, 7]);
    Ok(())
}

#[tokio::test]
async fn a_generator_of_a_binding_fills_its_stream() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = adder(&fabric).await?;
    let client = fabric.connect().await?.with_instance(&Agent::new("Adder", "one"));
    let stream = client.stream("Count").action().persistent().start(()).await?;
    let mut events = drained(&port).await?;
    assert_eq!(events[0].u8()?, 1);
    let call = activation(&mut events[0])?;
    assert_eq!(call.stream.as_deref(), Some(&*stream.stream));
    let mut packer = Packer::default();
    record(&mut packer, 30, 0, |packer| {
        packer.u64(call.invocation);
        packer.u64(1);
        packer.text(&stream.stream);
        packer.u64(0);
    });
    record(&mut packer, 31, 1, |packer| {
        packer.u64(1);
        packer.bool(false);
        packer.count(2);
        packer.bytes(&[1]);
        packer.bytes(&[2]);
    });
    record(&mut packer, 32, 2, |packer| packer.u64(1));
    port.submit(packer.into_bytes())?;
    let mut answers = 0;
    while answers < 2 {
        answers += drained(&port).await?.len();
    }
    submit(&port, 1, 3, |packer| (packer.u64(call.invocation), packer.count(0)).1)?;
    let mut items = client.sync_scope(|| stream.replay_all().items::<u8>());
    assert_eq!((items.try_next().await?, items.try_next().await?), (Some(1), Some(2)));
    assert_eq!(items.try_next().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_port_beside_asks_on_behalf_of_the_same_invocations() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = adder(&fabric).await?;
    let client = fabric.connect().await?;
    let call = {
        let client = client.clone();
        tokio::spawn(async move { client.call_agent::<i64>(&Agent::new("Adder", "one"), "Add", ()).await })
    };
    let mut events = drained(&port).await?;
    assert_eq!(events[0].u8()?, 1);
    let outer = activation(&mut events[0])?.invocation;
    let beside = port.beside();
    submit(&beside, 10, 1, |packer| {
        packer.u64(outer);
        packer.u64(0);
        for text in ["Adder", "one", "Count"] {
            packer.text(text);
        }
        packer.count(0);
        packer.count(0);
    })?;
    // The inner call arrives at the worker, and its answer where it was asked.
    let mut events = drained(&port).await?;
    assert_eq!(events[0].u8()?, 1);
    let inner = activation(&mut events[0])?;
    assert_eq!(inner.delegate, "Count");
    submit(&port, 1, 0, |packer| {
        (packer.u64(inner.invocation), packer.values(&[Bytes::from_static(&[7])])).1
    })?;
    let mut answer = answer(&beside, 1).await?;
    assert_eq!((answer.u8()?, answer.values()?), (1, vec![Bytes::from_static(&[7])]));
    // It is a child: it would have been cancelled with the outer one.
    submit(&port, 1, 0, |packer| (packer.u64(outer), packer.values(&[Bytes::from_static(&[8])])).1)?;
    assert_eq!(call.await.expect("no panic")?, 8);
    // A writer that was opened in a batch can be used without one.
    let stream = client.blank_stream().persistent().create().await?;
    submit(&beside, 30, 0, |packer| {
        (packer.u64(0), packer.u64(5), packer.text(&stream.stream), packer.u64(0)).3
    })?;
    let writer = beside.writer(5).expect("it is open");
    assert!(writer.try_write(Some(3), &[9])?);
    writer.flush().await?;
    assert!(beside.writer(6).is_none());
    let mut items = client.sync_scope(|| stream.replay_all().entries::<u8>());
    assert_eq!(items.try_next().await?, Some((3, 9)));
    Ok(())
}

#[tokio::test]
async fn nonsense_is_refused_and_taken_no_further() -> Result<()> {
    let fabric = Embedded::temporary().await?;
    let port = Port::new(Fabric::connect(fabric.settings()).await?);
    for batch in [
        vec![1, 2, 3],
        vec![255, 255, 255, 255, 1],
        vec![9, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![13, 0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7],
    ] {
        let error = port.submit(batch).expect_err("it is no batch");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("malformed"), "{error}");
    }
    assert!(port.drain(1024).is_empty());
    // Waiting may be given up at any time.
    tokio::select! {
        biased;
        () = port.ready() => panic!("there is nothing"),
        () = std::future::ready(()) => {}
    }
    submit(&port, 25, 1, |packer| (packer.u64(0), packer.text("no such stream")).1)?;
    let mut records = drained(&port).await?;
    assert_eq!((records[0].u8()?, records[0].u64()?, records[0].u8()?), (3, 1, 1));
    Ok(())
}
