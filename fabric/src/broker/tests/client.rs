use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use perper_proto::v1;
use tokio_stream::StreamExt as _;
use v1::request::Request as Asked;
use v1::response::Response;

use super::servers::LONGEST;
use crate::broker::{Broker, Connection, Frames};
use crate::engine::{Outcome, SessionId};

/// A client at one server: sends frames, and sorts what comes back.
pub(super) struct Client {
    broker: Arc<Broker>,
    pub(super) session: u128,
    connection: Arc<Connection>,
    frames: Frames,
    next: u64,
    outcomes: HashMap<u64, Outcome>,
    completions: HashMap<u64, v1::End>,
    activations: VecDeque<v1::Activation>,
    pub(super) revocations: Vec<v1::Revocation>,
    /// Keys and bytes of items, by listener.
    pub(super) items: HashMap<u64, Vec<(i64, u8)>>,
    notices: Vec<(u64, v1::notice::Notice)>,
    closed: Option<String>,
}

/// A value of one byte.
pub(super) fn value(byte: u8) -> Bytes {
    assert!(byte < 24, "{byte} takes more than a byte");
    Bytes::copy_from_slice(&[byte])
}

impl Client {
    pub(super) async fn attach(
        broker: &Arc<Broker>,
        session: u128,
        resume: bool,
        held: &[Bytes],
    ) -> Result<Self, v1::Error> {
        let hello = v1::HelloRequest { protocol_min: 1, protocol_max: 1, ..Default::default() };
        let attach = v1::Attach {
            session: SessionId(session).to_bytes().to_vec().into(),
            hello: Some(hello),
            resume,
            held_reservations: held.to_vec(),
        };
        let attached = broker.attach(attach).await?;
        Ok(Self {
            broker: Arc::clone(broker),
            session,
            connection: attached.connection,
            frames: attached.frames,
            // Repeats are the client library's; here a session that moves goes on with new requests.
            next: if resume { 1_000 } else { 1 },
            outcomes: HashMap::new(),
            completions: HashMap::new(),
            activations: VecDeque::new(),
            revocations: Vec::new(),
            items: HashMap::new(),
            notices: Vec::new(),
            closed: None,
        })
    }

    fn send(&self, frame: v1::ClientFrame) {
        self.broker.take_frame(&self.connection, frame).expect("the frame is taken");
    }

    /// Sends requests in one frame; answers their sequences.
    pub(super) fn ask_all(&mut self, requests: Vec<Asked>) -> Vec<u64> {
        let first = self.next;
        self.next += requests.len() as u64;
        let requests = (first..)
            .zip(requests)
            .map(|(sequence, request)| v1::Request { sequence, request: Some(request) })
            .collect();
        self.send(v1::ClientFrame { requests, ..Default::default() });
        (first..self.next).collect()
    }

    pub(super) fn ask(&mut self, request: Asked) -> u64 {
        self.ask_all(vec![request])[0]
    }

    /// Sends a request and waits for its outcome.
    pub(super) async fn carry_out(&mut self, request: Asked) -> Outcome {
        let sequence = self.ask(request);
        self.outcome(sequence).await
    }

    pub(super) fn grant(&self, subscription: u64, count: u64, acknowledged_key: Option<i64>) {
        let credit = v1::Credit { subscription, count, bytes: 1_000, acknowledged_key };
        self.send(v1::ClientFrame { credits: vec![credit], ..Default::default() });
    }

    pub(super) fn received(&self, sequence: u64) {
        self.send(v1::ClientFrame { received: vec![sequence], ..Default::default() });
    }

    /// Ends the session.
    pub(super) fn close(&self) {
        self.send(v1::ClientFrame { close: true, ..Default::default() });
    }

    /// A sign of life, and that outcomes up to a sequence need not be kept.
    pub(super) fn acknowledge(&self, acknowledged: u64) {
        self.send(v1::ClientFrame { acknowledged, ..Default::default() });
    }

    async fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if let Some(closed) = &self.closed {
                panic!("the connection ended ({closed}) before {what} came");
            }
            match tokio::time::timeout(LONGEST, self.frames.next()).await {
                Err(_) => panic!("session {} waits for {what}, which never comes", self.session),
                Ok(None) => self.closed = Some("in order".to_owned()),
                Ok(Some(Err(status))) => self.closed = Some(status.message().to_owned()),
                Ok(Some(Ok(frame))) => self.sort(frame),
            }
        }
    }

    fn sort(&mut self, frame: v1::ServerFrame) {
        for sequence in frame.succeeded {
            self.answered(sequence, Ok(None));
        }
        for response in frame.responses {
            let outcome = match response.response {
                Some(Response::Error(error)) => Err(error),
                other => Ok(other),
            };
            self.answered(response.sequence, outcome);
        }
        for completion in frame.completions {
            let former = self.completions.insert(completion.sequence, completion.end.unwrap_or_default());
            assert!(former.is_none(), "the end of call {} came twice", completion.sequence);
        }
        self.activations.extend(frame.activations);
        self.revocations.extend(frame.revocations);
        for delivery in frame.deliveries {
            let items = self.items.entry(delivery.listener).or_default();
            for batch in delivery.batches {
                let first = batch.first_key.expect("what is delivered has keys");
                let mut key = first;
                for (at, item) in batch.values.chunks(2).enumerate() {
                    if at > 0 {
                        key += batch.key_deltas.get(at - 1).copied().unwrap_or(1);
                    }
                    items.push((key, item[1]));
                }
            }
        }
        let notices = frame.notices.into_iter();
        self.notices.extend(notices.filter_map(|notice| Some((notice.subscription, notice.notice?))));
    }

    fn answered(&mut self, sequence: u64, outcome: Outcome) {
        let former = self.outcomes.insert(sequence, outcome);
        assert!(former.is_none(), "request {sequence} was answered twice");
    }

    pub(super) async fn outcome(&mut self, sequence: u64) -> Outcome {
        self.until("an outcome", |this| this.outcomes.remove(&sequence)).await
    }

    pub(super) async fn completion(&mut self, sequence: u64) -> v1::End {
        self.until("the end of a call", |this| this.completions.remove(&sequence)).await
    }

    pub(super) async fn activation(&mut self) -> v1::Activation {
        self.until("an activation", |this| this.activations.pop_front()).await
    }

    pub(super) async fn notice(&mut self, subscription: u64) -> v1::notice::Notice {
        self.until("a notice", |this| {
            let at = this.notices.iter().position(|(of, _)| *of == subscription)?;
            Some(this.notices.remove(at).1)
        })
        .await
    }

    /// Waits until a listener has so many items.
    pub(super) async fn items(&mut self, listener: u64, count: usize) -> Vec<(i64, u8)> {
        self.until("items", |this| {
            let items = this.items.get(&listener)?;
            (items.len() >= count).then(|| items.clone())
        })
        .await
    }

    pub(super) async fn revocation(&mut self, token: &Bytes) -> String {
        self.until("a revocation", |this| {
            let found = this.revocations.iter().find(|revocation| revocation.reservation == *token)?;
            Some(found.reason.clone())
        })
        .await
    }

    /// Why the server ended the connection.
    pub(super) async fn ended(&mut self) -> String {
        while self.closed.is_none() {
            match tokio::time::timeout(LONGEST, self.frames.next()).await.expect("the connection ends") {
                None => self.closed = Some("in order".to_owned()),
                Some(Err(status)) => self.closed = Some(status.message().to_owned()),
                Some(Ok(frame)) => self.sort(frame),
            }
        }
        self.closed.clone().unwrap_or_default()
    }

    /// Listens for executions of agent "A".
    pub(super) async fn listen(&mut self, credit: u64) -> u64 {
        let filters = vec![v1::ExecutionFilter { agent: "A".into(), ..Default::default() }];
        let request = v1::ListenRequest {
            filters,
            credit_executions: credit,
            credit_bytes: 1_000_000,
            ..Default::default()
        };
        let sequence = self.ask(Asked::Listen(request));
        self.outcome(sequence).await.expect("a listen");
        sequence
    }
}

/// A call of agent "A".
pub(super) fn call(execution: &str, byte: u8) -> v1::CreateExecutionRequest {
    v1::CreateExecutionRequest {
        execution: execution.into(),
        agent: "A".into(),
        delegate: "d".into(),
        arguments: vec![value(byte)],
        wait: true,
        ..Default::default()
    }
}

/// A call that the handler of an activation makes.
pub(super) fn call_below(
    activation: &v1::Activation,
    execution: &str,
    byte: u8,
) -> v1::CreateExecutionRequest {
    let parent =
        v1::Parent { execution: activation.execution.clone(), reservation: activation.reservation.clone() };
    v1::CreateExecutionRequest { parent: Some(parent), ..call(execution, byte) }
}

/// Completes what was activated with its own arguments.
pub(super) fn complete(activation: &v1::Activation) -> Asked {
    Asked::CompleteExecution(v1::CompleteExecutionRequest {
        execution: activation.execution.clone(),
        reservation: activation.reservation.clone(),
        results: activation.arguments.clone(),
        ..Default::default()
    })
}

pub(super) fn cancel(execution: &str) -> Asked {
    Asked::CancelExecution(v1::CancelExecutionRequest { execution: execution.into(), identity: None })
}
