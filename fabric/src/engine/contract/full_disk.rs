//! A full disk turns away what takes up space, and nothing else: the embedded engine on a disk that the test fills.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use perper_proto::v1;
use perper_store::{HeadRoom, MemoryStore};

use super::data::{add, create_list, create_stream, persistent, pop, write};
use super::executions::{complete, create};
use super::fixture::{Ask, SESSION};
use super::stores::embedded_on;
use crate::engine::{
    AttachListener, Claim, DictionaryRequest, Engine, ExecutionRequest, Identity, ListRequest, Operation,
    Outcome, StreamRequest,
};

const RESERVE: u64 = 1 << 20;

/// A client of the engine, which numbers its requests.
struct Client {
    engine: Arc<dyn Engine>,
    sequence: u64,
}

impl Client {
    fn send(&mut self, request: impl Ask) -> Outcome {
        self.sequence += 1;
        self.send_as(self.sequence, request)
    }

    fn send_as(&self, sequence: u64, request: impl Ask) -> Outcome {
        let (sender, receiver) = mpsc::channel();
        let identity = Some(Identity { session: SESSION, sequence });
        let operation = Operation { identity, request: request.request() };
        self.engine.apply(vec![operation], Box::new(move |outcomes| drop(sender.send(outcomes))));
        receiver.recv().expect("an outcome").pop().expect("one outcome")
    }

    fn refused(&mut self, request: impl Ask) {
        assert_eq!(self.send(request).expect_err("there is no room").reason, "STORAGE_FULL");
    }
}

fn update(operation: v1::dictionary_operation::Operation) -> DictionaryRequest {
    let operation = v1::DictionaryOperation { operation: Some(operation) };
    let operations = vec![operation];
    DictionaryRequest::Update(v1::UpdateDictionaryRequest {
        dictionary: "d".into(),
        operations,
        identity: None,
    })
}

#[test]
fn a_full_disk_refuses_what_takes_space_and_serves_the_rest() {
    let free = Arc::new(AtomicU64::new(RESERVE + 10_000));
    let probe = Arc::clone(&free);
    let head_room = HeadRoom::with_probe(RESERVE, move || Ok(probe.load(Ordering::SeqCst))).unwrap();
    let engine = embedded_on(Arc::new(MemoryStore::new()), Some(head_room), 1);
    let mut client = Client { engine, sequence: 0 };
    use v1::dictionary_operation::{Get, Operation, Set};
    let key = || Bytes::from_static(&[1]);
    let set = || update(Operation::Set(Set { key: key(), value: Bytes::from_static(&[2]) }));

    client.send(create("e")).unwrap();
    let created = client.sequence;
    client.send(create_list("l")).unwrap();
    client.send(add("l", 1)).unwrap();
    let dictionary = v1::CreateDictionaryRequest { dictionary: "d".into(), ..Default::default() };
    client.send(DictionaryRequest::Create(dictionary)).unwrap();
    client.send(set()).unwrap();
    client.send(create_stream("s", persistent())).unwrap();
    client.send(StreamRequest::Write(write("s", 1, 1, &[1]))).unwrap();
    let execution = client.engine.view_execution("e").unwrap().execution;
    let (sender, receiver) = mpsc::channel();
    let claim = Claim { execution, group: "".into(), session: SESSION };
    client.engine.claim(vec![claim], Box::new(move |answers| drop(sender.send(answers))));
    let token = receiver.recv().unwrap().pop().flatten().unwrap().token;

    free.store(RESERVE - 1, Ordering::SeqCst);
    let filling = |client: &mut Client| {
        let filler = v1::CreateExecutionRequest {
            arguments: vec![Bytes::from(vec![0; 5_000])],
            ..super::executions::call(&format!("filler {}", client.sequence))
        };
        client.send(ExecutionRequest::Create(filler, None))
    };
    let refusal = (0..100).find_map(|_| filling(&mut client).err()).expect("the disk is full at some time");
    assert_eq!(refusal.reason, "STORAGE_FULL");
    assert_eq!(refusal.code, tonic::Code::ResourceExhausted as i32);
    let refused = client.sequence;

    // What took effect while there was room did so.
    client.send_as(created, create("e")).unwrap();
    client.refused(create("new"));
    client.refused(add("l", 2));
    client.refused(set());
    client.refused(create_list("new"));
    client.refused(create_stream("new", persistent()));
    client.refused(StreamRequest::Write(write("s", 1, 5, &[1])));
    let attach = v1::AttachListenerRequest { stream: "s".into(), name: "n".into(), ..Default::default() };
    let attach = AttachListener { session: SESSION, listener: "n".into(), request: attach };
    client.refused(StreamRequest::AttachListener(attach));

    client.send(complete("e", &token)).unwrap();
    client.send(ExecutionRequest::Forget("e".into())).unwrap();
    client.send(update(Operation::Get(Get { key: key() }))).unwrap();
    client.send(update(Operation::Remove(Get { key: key() }))).unwrap();
    client.send(pop("l")).unwrap();
    let end = v1::CompleteStreamRequest { stream: "s".into(), ..Default::default() };
    client.send(StreamRequest::Complete(end)).unwrap();
    let list = v1::DestroyListRequest { list: "l".into(), identity: None };
    client.send(ListRequest::Destroy(list)).unwrap();
    client.engine.acknowledge(SESSION, created);

    free.store(u64::MAX / 4, Ordering::SeqCst);
    // The refusal for want of room is no outcome: the same request goes through now.
    client.send_as(refused, create("new")).unwrap();
}
