//! What a client says on the wire, and what its users see of what it hears, with the test in the server's part.

mod script;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use perper::{
    ErrorKind,
    protocol::{
        ExecutionFilter, Fabric, ListOperation, ListenEvent, ListenOptions, ListenerOptions, NewExecution,
        NewStream, Settings, WriterOptions,
    },
};
use perper_proto::{
    Reason,
    v1::{
        self, ServerFrame, attach_listener_request::Start, notice::Notice, request::Request,
        response::Response,
    },
};
use script::Script;
use tokio::{net::TcpSocket, time::timeout};

fn call(fabric: &Fabric) -> NewExecution {
    NewExecution { agent: "Hello".into(), delegate: "Greet".into(), ..NewExecution::new(fabric.new_id()) }
}

fn listen(agent: &str) -> ListenOptions {
    let filter = ExecutionFilter { agent: agent.into(), ..ExecutionFilter::default() };
    ListenOptions { filters: vec![filter], executions: 4, ..ListenOptions::default() }
}

fn activation(listen: u64, execution: &str) -> v1::Activation {
    v1::Activation {
        listen,
        execution: execution.into(),
        agent: "Hello".into(),
        reservation: Bytes::copy_from_slice(execution.as_bytes()),
        ..v1::Activation::default()
    }
}

fn items(first_key: i64, values: &[u8]) -> v1::ItemBatch {
    v1::ItemBatch {
        count: values.len() as u32,
        first_key: Some(first_key),
        key_deltas: Vec::new(),
        values: values.iter().flat_map(|value| [1, *value]).collect::<Vec<_>>().into(),
    }
}

fn results(results: &[&'static [u8]]) -> v1::End {
    v1::End {
        results: results.iter().map(|result| Bytes::from_static(result)).collect(),
        ..v1::End::default()
    }
}

#[tokio::test]
async fn a_call_is_created_awaited_and_reported_received() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let call = fabric.call_execution(call(&fabric));
    let (sequence, Request::CreateExecution(create)) = connection.request().await else {
        panic!("not a create")
    };
    assert!(create.wait);
    assert_eq!((create.agent.as_str(), create.delegate.as_str()), ("Hello", "Greet"));
    connection.succeed(sequence);
    connection.complete(sequence, results(&[b"\x01", b"\x02"]));
    assert_eq!(call.await.expect("results"), [&b"\x01"[..], &b"\x02"[..]]);
    while connection.received.is_empty() {
        connection.frame().await;
    }
    assert_eq!((connection.received.as_slice(), connection.acknowledged), (&[sequence][..], sequence));
}

#[tokio::test]
async fn what_waits_goes_out_in_one_frame() {
    let mut script = Script::start().await;
    let fabric = Fabric::start(script.settings()).expect("settings");
    let mut connection = script.connection().await;
    let replies: Vec<_> = (0..500).map(|n| fabric.destroy_list(format!("l{n}"))).collect();
    connection.attach(v1::Limits::default());
    assert_eq!(connection.frame().await, 500);
    let sequences: Vec<u64> = (1..=500).collect();
    connection.send(ServerFrame { succeeded: sequences, ..ServerFrame::default() });
    for reply in replies {
        reply.await.expect("success");
    }
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_server_takes() {
    let mut script = Script::start().await;
    let fabric = Fabric::start(script.settings()).expect("settings");
    let mut connection = script.connection().await;
    let replies: Vec<_> = (0..5).map(|n| fabric.destroy_list(format!("l{n}"))).collect();
    connection.attach(v1::Limits { requests_in_flight: 2, ..v1::Limits::default() });
    for answered in 1..=5 {
        let (sequence, _) = connection.request().await;
        assert_eq!(sequence, answered);
        assert!(connection.waiting() <= 1);
        connection.succeed(sequence);
    }
    for reply in replies {
        reply.await.expect("success");
    }
}

#[tokio::test]
async fn a_lost_connection_does_not_show() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;

    let mut listening = fabric.listen(listen("Hello"));
    let (listen, _) = connection.request().await;
    connection.succeed(listen);
    connection.send(ServerFrame { activations: vec![activation(listen, "e1")], ..ServerFrame::default() });
    let events = listening.next().await.expect("events");
    assert!(matches!(events.as_deref(), Some([ListenEvent::Activation(_)])));

    let waiting = fabric.call_execution(call(&fabric));
    let (called, _) = connection.request().await;
    connection.succeed(called);
    let unanswered = fabric.update_list("l", ListOperation::Pop);
    let (popped, _) = connection.request().await;
    connection.fail(tonic::Status::unavailable("the plug is pulled"));

    let mut connection = script.connection().await;
    assert!(connection.attach.resume);
    assert_eq!(connection.attach.held_reservations, [&b"e1"[..]]);
    connection.attach(v1::Limits::default());
    // First what had no answer, under its own number.
    let (sequence, Request::UpdateList(_)) = connection.request().await else { panic!("not the pop") };
    assert_eq!(sequence, popped);
    let response = v1::UpdateListResponse { value: Some(Bytes::from_static(b"\x07")), ..Default::default() };
    connection.respond(sequence, Response::UpdateList(response));
    // Then the wait and the listen, under new ones.
    let (again, Request::CreateExecution(create)) = connection.request().await else {
        panic!("not the call")
    };
    assert!(create.wait && create.execution == waiting.execution() && again > popped);
    connection.complete(again, results(&[b"\x01"]));
    let (_, Request::Listen(renewed)) = connection.request().await else { panic!("not the listen") };
    // One of four is still in hand.
    assert_eq!(renewed.credit_executions, 3);

    assert_eq!(unanswered.await.expect("the pop").value.as_deref(), Some(&b"\x07"[..]));
    assert_eq!(waiting.await.expect("the call"), [&b"\x01"[..]]);
}

#[tokio::test]
async fn an_expired_session_fails_only_what_nobody_can_tell() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let first = connection.attach.session.clone();

    let mut listening = fabric.listen(listen("Hello"));
    let (listen, _) = connection.request().await;
    connection.succeed(listen);
    connection.send(ServerFrame { activations: vec![activation(listen, "e1")], ..ServerFrame::default() });
    listening.next().await.expect("events");

    let mutation = fabric.update_list("l", ListOperation::Pop);
    let read = fabric.update_list("l", ListOperation::Count);
    connection.request().await;
    connection.request().await;
    connection.fail(Reason::SessionExpired.error("slept too long").to_status());

    let mut connection = script.connection().await;
    assert!(!connection.attach.resume && connection.attach.held_reservations.is_empty());
    assert_ne!(connection.attach.session, first);
    connection.attach(v1::Limits::default());
    assert_eq!(mutation.await.expect_err("nobody can tell").kind(), ErrorKind::OutcomeUnknown);
    let revoked = ListenEvent::Revocation {
        reservation: Bytes::from_static(b"e1"),
        reason: ErrorKind::ReservationLost,
    };
    assert_eq!(listening.next().await.expect("events"), Some(vec![revoked]));

    let (sequence, Request::UpdateList(_)) = connection.request().await else { panic!("not the count") };
    let response = v1::UpdateListResponse { count: 3, ..Default::default() };
    connection.respond(sequence, Response::UpdateList(response));
    assert_eq!(read.await.expect("the count").count, 3);
    let (_, Request::Listen(_)) = connection.request().await else { panic!("not the listen") };
}

#[tokio::test]
async fn reservations_are_revoked_before_the_lease_ends() {
    let mut script = Script::start().await;
    let fabric = Fabric::start(script.settings()).expect("settings");
    let mut connection = script.connection().await;
    // The client gives up at half of this, and everything up to the next attach must fit in there on any machine.
    connection.attach_for(v1::Limits::default(), 8_000);
    let mut listening = fabric.listen(listen("Hello"));
    let (listen, _) = connection.request().await;
    connection.succeed(listen);
    connection.send(ServerFrame { activations: vec![activation(listen, "e1")], ..ServerFrame::default() });
    listening.next().await.expect("events");
    connection.fail(tonic::Status::unavailable("the plug is pulled"));
    // It connects, but nobody attaches it.
    let connection = script.connection().await;
    assert_eq!(connection.attach.held_reservations.len(), 1);
    let events = listening.next().await.expect("events").expect("a revocation");
    assert!(matches!(events[..], [ListenEvent::Revocation { reason: ErrorKind::ReservationLost, .. }]));
    connection.fail(tonic::Status::unavailable("again"));
    // What it has given up it does not claim.
    assert!(script.connection().await.attach.held_reservations.is_empty());
}

#[tokio::test]
async fn an_idle_client_sends_heartbeats() {
    let mut script = Script::start().await;
    let fabric = Fabric::start(script.settings()).expect("settings");
    let mut connection = script.connection().await;
    connection.attach_for(v1::Limits::default(), 300);
    for _ in 0..3 {
        assert_eq!(connection.frame().await, 0);
    }
    drop(fabric);
}

#[tokio::test]
async fn dropping_a_call_cancels_it() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let call = fabric.call_execution(call(&fabric));
    let id = call.execution().to_owned();
    let (sequence, _) = connection.request().await;
    connection.succeed(sequence);
    drop(call);
    let (_, Request::CancelExecution(cancel)) = connection.request().await else { panic!("not a cancel") };
    assert_eq!(cancel.execution, id);
    // The end of a call that nobody waits for is received all the same, so that the server forgets it.
    let error = Reason::ExecutionCancelled.error("cancelled");
    connection.complete(sequence, v1::End { error: Some(error), ..v1::End::default() });
    while connection.received.is_empty() {
        connection.frame().await;
    }
    assert_eq!(connection.received, [sequence]);
}

#[tokio::test]
async fn a_call_that_was_not_sent_is_taken_back() {
    let mut script = Script::start().await;
    let fabric = Fabric::start(script.settings()).expect("settings");
    drop(fabric.call_execution(call(&fabric)));
    let reply = fabric.create_stream(NewStream::new("s"));
    let mut connection = script.connection().await;
    connection.attach(v1::Limits::default());
    let (sequence, Request::CreateStream(_)) = connection.request().await else { panic!("not the stream") };
    connection.succeed(sequence);
    reply.await.expect("success");
}

#[tokio::test]
async fn a_handlers_failure_reaches_the_caller_whole() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let call = fabric.call_execution(call(&fabric));
    let (sequence, _) = connection.request().await;
    let failure =
        v1::Failure { r#type: "ValueError".into(), message: "no".into(), stack_trace: "at 1".into() };
    let error = Reason::ExecutionFailed.error("no");
    connection
        .complete(sequence, v1::End { error: Some(error), failure: Some(failure), ..v1::End::default() });
    let error = call.await.expect_err("a failure");
    assert_eq!(error.kind(), ErrorKind::ExecutionFailed);
    assert_eq!(error.failure().map(|failure| failure.type_name.as_str()), Some("ValueError"));
}

#[tokio::test]
async fn credit_comes_back_when_executions_end() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let mut listening = fabric.listen(listen("Hello"));
    let (listen, Request::Listen(request)) = connection.request().await else { panic!("not a listen") };
    assert_eq!(request.credit_executions, 4);
    connection.succeed(listen);
    let activations = ["a", "b", "c", "d"].map(|id| activation(listen, id)).to_vec();
    connection.send(ServerFrame { activations, ..ServerFrame::default() });
    listening.next().await.expect("events");
    for id in ["a", "b"] {
        let reply = fabric.complete_execution(id, Bytes::from_static(id.as_bytes()), Ok(Vec::new()));
        let (sequence, Request::CompleteExecution(_)) = connection.request().await else {
            panic!("not a completion")
        };
        assert!(connection.credits.is_empty());
        connection.succeed(sequence);
        reply.await.expect("success");
    }
    while connection.credits.is_empty() {
        connection.frame().await;
    }
    assert_eq!((connection.credits[0].subscription, connection.credits[0].count), (listen, 2));
}

#[tokio::test]
async fn a_dropped_listen_releases_what_was_not_taken() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let mut listening = fabric.listen(listen("Hello"));
    let (listen, _) = connection.request().await;
    connection.succeed(listen);
    connection.send(ServerFrame { activations: vec![activation(listen, "taken")], ..ServerFrame::default() });
    listening.next().await.expect("events");
    connection
        .send(ServerFrame { activations: vec![activation(listen, "waiting")], ..ServerFrame::default() });
    // An answer behind it shows that it has arrived.
    let reply = fabric.destroy_list("l");
    let (sequence, _) = connection.request().await;
    connection.succeed(sequence);
    reply.await.expect("success");
    drop(listening);
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        match connection.request().await.1 {
            Request::Unlisten(unlisten) => assert_eq!(unlisten.listen, listen),
            Request::ReleaseExecution(release) => _ = seen.insert(release.execution),
            other => panic!("unexpected {other:?}"),
        }
    }
    // One that was under way already.
    connection.send(ServerFrame { activations: vec![activation(listen, "late")], ..ServerFrame::default() });
    let (_, Request::ReleaseExecution(release)) = connection.request().await else { panic!("not a release") };
    seen.insert(release.execution);
    assert_eq!(seen, BTreeSet::from(["late".to_owned(), "waiting".to_owned()]));
}

#[tokio::test]
async fn a_listener_resumes_without_gap_or_repeat() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let mut listener = fabric.attach_listener(ListenerOptions::new("s"));
    let (sequence, Request::AttachListener(attach)) = connection.request().await else { panic!("no attach") };
    assert_eq!(attach.start, Some(Start::Latest(true)));
    let place = attach.place;
    let attached = v1::AttachListenerResponse { start_key: 10, ..Default::default() };
    connection.respond(sequence, Response::AttachListener(attached));
    assert_eq!(listener.attached().await.expect("attached").start_key, 10);
    let delivery = v1::Delivery { listener: sequence, batches: vec![items(10, b"ab"), items(12, b"c")] };
    connection.send(ServerFrame { deliveries: vec![delivery], ..ServerFrame::default() });
    let item = listener.next().await.expect("an item").expect("an item");
    assert_eq!((item.key, &item.value[..]), (10, &b"a"[..]));
    connection.fail(tonic::Status::unavailable("the plug is pulled"));

    let mut connection = script.connection().await;
    connection.attach(v1::Limits::default());
    let (sequence, Request::AttachListener(attach)) = connection.request().await else { panic!("no attach") };
    // Behind what has arrived, not behind what was taken: that is still here.
    assert_eq!((attach.start, attach.place), (Some(Start::ResumeAfter(12)), place));
    let attached = v1::AttachListenerResponse { start_key: 13, ..Default::default() };
    connection.respond(sequence, Response::AttachListener(attached));
    // A server that repeats itself is not believed.
    let delivery = v1::Delivery { listener: sequence, batches: vec![items(11, b"bcde")] };
    let end = v1::Notice { subscription: sequence, notice: Some(Notice::End(v1::StreamEnd::default())) };
    connection.send(ServerFrame { deliveries: vec![delivery], notices: vec![end], ..ServerFrame::default() });
    let mut rest = Vec::new();
    while let Some(item) = listener.next().await.expect("items") {
        rest.push((item.key, item.value[0]));
    }
    assert_eq!(rest, [(11, b'b'), (12, b'c'), (13, b'd'), (14, b'e')]);
    while connection.credits.iter().all(|credit| credit.acknowledged_key != Some(14)) {
        connection.frame().await;
    }
}

#[tokio::test]
async fn asking_for_the_next_item_acknowledges_the_last_and_dropping_does_not() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let mut listener =
        fabric.attach_listener(ListenerOptions { name: "n".into(), ..ListenerOptions::new("s") });
    let (sequence, _) = connection.request().await;
    connection.respond(sequence, Response::AttachListener(v1::AttachListenerResponse::default()));
    let delivery = v1::Delivery { listener: sequence, batches: vec![items(0, b"ab")] };
    connection.send(ServerFrame { deliveries: vec![delivery], ..ServerFrame::default() });
    for key in 0..2 {
        assert_eq!(listener.next().await.expect("an item").map(|item| item.key), Some(key));
    }
    listener.acknowledge(false);
    drop(listener);
    let (_, Request::DetachListener(detach)) = connection.request().await else { panic!("not a detach") };
    assert_eq!(detach.listener, sequence);
    assert!(connection.credits.iter().all(|credit| credit.acknowledged_key < Some(1)));
}

#[tokio::test]
async fn a_listener_that_was_taken_over_does_not_come_back() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let mut listener =
        fabric.attach_listener(ListenerOptions { name: "n".into(), ..ListenerOptions::new("s") });
    let (sequence, _) = connection.request().await;
    connection.respond(sequence, Response::AttachListener(v1::AttachListenerResponse::default()));
    let error = Reason::ListenerTakenOver.error("somebody else");
    let notice = v1::Notice { subscription: sequence, notice: Some(Notice::Error(error)) };
    connection.send(ServerFrame { notices: vec![notice], ..ServerFrame::default() });
    let error = listener.next().await.expect_err("taken over");
    assert_eq!(error.kind(), ErrorKind::ListenerTakenOver);
    connection.fail(tonic::Status::unavailable("the plug is pulled"));
    let mut connection = script.connection().await;
    connection.attach(v1::Limits::default());
    let reply = fabric.destroy_list("l");
    let (sequence, Request::DestroyList(_)) = connection.request().await else { panic!("it came back") };
    connection.succeed(sequence);
    reply.await.expect("success");
}

#[tokio::test]
async fn a_server_that_drains_is_left_when_it_has_answered() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let slow = fabric.destroy_list("slow");
    let (sequence, _) = connection.request().await;
    connection.send(ServerFrame { draining: true, ..ServerFrame::default() });
    connection.succeed(sequence);
    slow.await.expect("answered where it was asked");
    let later = fabric.destroy_list("later");
    let mut connection = script.connection().await;
    assert!(connection.attach.resume);
    connection.attach(v1::Limits::default());
    let (sequence, _) = connection.request().await;
    connection.succeed(sequence);
    later.await.expect("answered by the next server");
}

#[tokio::test]
async fn a_request_turned_away_by_a_stopping_server_is_repeated() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let reply = fabric.update_list("l", ListOperation::Pop);
    let (sequence, _) = connection.request().await;
    connection.respond(sequence, Response::Error(Reason::Draining.error("stopping")));
    let mut connection = script.connection().await;
    connection.attach(v1::Limits::default());
    assert_eq!(connection.request().await.0, sequence);
    connection.succeed(sequence);
    reply.await.expect("success");
}

#[tokio::test]
async fn a_writer_gathers_items_and_tells_when_they_are_in() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let writer = fabric.writer(WriterOptions::new("s"));
    for value in 0..100u8 {
        writer.write(&[value]).await.expect("room");
    }
    let mut written = Vec::new();
    while written.len() < 200 {
        let (sequence, Request::WriteItems(write)) = connection.request().await else { panic!("not items") };
        written.extend_from_slice(&write.batch.unwrap_or_default().values);
        connection.respond(sequence, Response::WriteItems(v1::WriteItemsResponse { first_key: 5 }));
    }
    let expected: Vec<u8> = (0..100).flat_map(|value| [1, value]).collect();
    assert_eq!(written, expected);
    writer.flush().await.expect("written");

    writer.write(b"x").await.expect("room");
    let (sequence, _) = connection.request().await;
    connection.respond(sequence, Response::Error(Reason::StreamCompleted.error("it has ended")));
    assert_eq!(writer.flush().await.expect_err("refused").kind(), ErrorKind::StreamCompleted);
    assert_eq!(writer.write(b"y").await.expect_err("closed").kind(), ErrorKind::StreamCompleted);
}

#[tokio::test]
async fn a_writer_waits_when_too_much_is_on_its_way() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let writer = fabric.writer(WriterOptions { bytes_in_flight: 8, ..WriterOptions::new("s") });
    assert!(writer.try_write(None, b"12345678").expect("room for one, however large"));
    assert!(!writer.try_write(None, b"9").expect("no room"));
    let (sequence, _) = connection.request().await;
    let write = writer.write(b"9");
    connection.respond(sequence, Response::WriteItems(v1::WriteItemsResponse { first_key: 5 }));
    write.await.expect("room again");
}

#[tokio::test]
async fn closing_sends_what_waits_and_says_so() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let reply = fabric.destroy_list("l");
    let closing = tokio::spawn({
        let fabric = fabric.clone();
        async move { fabric.close().await }
    });
    let (sequence, _) = connection.request().await;
    connection.succeed(sequence);
    while !connection.closed {
        connection.frame().await;
    }
    drop(connection);
    closing.await.expect("no panic").expect("closed");
    reply.await.expect("answered before the end");
    assert_eq!(fabric.destroy_list("l").await.expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(fabric.listen(listen("A")).next().await.expect_err("closed").kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn the_last_clone_that_goes_closes_the_session() {
    let mut script = Script::start().await;
    let (fabric, mut connection) = script.client().await;
    let clone = fabric.clone();
    drop(fabric);
    drop(clone);
    while !connection.closed {
        connection.frame().await;
    }
}

/// A place where nobody listens yet. It is bound, so that nobody else gets the port.
fn place() -> (TcpSocket, Settings) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = socket.local_addr().expect("an address");
    (socket, Settings::default().with_endpoint(format!("http://{address}")))
}

#[tokio::test]
async fn a_fabric_that_comes_late_is_waited_for() {
    let (socket, settings) = place();
    let fabric = Fabric::start(settings).expect("settings");
    timeout(Duration::from_millis(200), fabric.ready()).await.expect_err("nobody is there");
    let mut script = Script::serve(socket.listen(16).expect("it listens now"));
    let connection = script.connection().await;
    connection.attach(v1::Limits::default());
    fabric.ready().await.expect("it came");
}

#[tokio::test]
async fn whoever_has_given_up_does_not_come_later() {
    let (socket, settings) = place();
    let settings = settings.with_connect_timeout(Duration::from_millis(200));
    let error = Fabric::connect(settings).await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let mut script = Script::serve(socket.listen(16).expect("it listens now"));
    // It was about to try again, no later than after the time that it has tried for.
    timeout(Duration::from_secs(1), script.connection()).await.err().expect("nobody comes");
}

#[tokio::test]
async fn what_waiting_does_not_mend_is_told_at_once() {
    let mut script = Script::start().await;
    for reason in [Reason::Unauthenticated, Reason::ProtocolNotSupported] {
        let fabric = Fabric::start(script.settings()).expect("settings");
        let reply = fabric.destroy_list("l");
        script.connection().await.fail(reason.error("no").to_status());
        let error = fabric.ready().await.expect_err("refused");
        assert_eq!(error.reason(), reason.name());
        assert_eq!(reply.await.expect_err("refused").reason(), reason.name());
    }
}
