//! The order of one session's mutations of one object, when some are lost.

use std::collections::{BTreeSet, HashMap};

use perper_proto::v1;

use crate::engine::{
    DictionaryRequest, ExecutionRequest, Identity, ListRequest, Operation, Request, SessionId, StreamRequest,
};

/// Mutations that were lost before they took effect, by session and object. Until they are repeated, nothing that came
/// after them takes effect.
#[derive(Default)]
pub(super) struct Lanes {
    lost: HashMap<(SessionId, String), BTreeSet<u64>>,
}

impl Lanes {
    /// Whether a mutation must be lost, since one before it was.
    pub(super) fn is_blocked(&self, operation: &Operation) -> bool {
        let Some(Identity { session, sequence }) = operation.identity else { return false };
        let lost = self.lost.get(&(session, object(&operation.request)));
        lost.and_then(BTreeSet::first).is_some_and(|first| *first < sequence)
    }

    /// A mutation is lost.
    pub(super) fn lose(&mut self, operation: &Operation) {
        if let Some(Identity { session, sequence }) = operation.identity {
            self.lost.entry((session, object(&operation.request))).or_default().insert(sequence);
        }
    }

    /// A mutation takes effect.
    pub(super) fn pass(&mut self, operation: &Operation) {
        let Some(Identity { session, sequence }) = operation.identity else { return };
        if let Some(lost) = self.lost.get_mut(&(session, object(&operation.request))) {
            lost.remove(&sequence);
        }
    }

    /// A session is over.
    pub(super) fn close(&mut self, session: SessionId) {
        self.lost.retain(|(of, _), _| *of != session);
    }
}

/// The object that a request is on.
fn object(request: &Request) -> String {
    let (kind, id): (&str, &str) = match request {
        Request::Execution(request) => ("execution", execution(request)),
        Request::Stream(request) => ("stream", stream(request)),
        Request::Dictionary(
            DictionaryRequest::Create(v1::CreateDictionaryRequest { dictionary, .. })
            | DictionaryRequest::Update(v1::UpdateDictionaryRequest { dictionary, .. })
            | DictionaryRequest::Enumerate(v1::EnumerateDictionaryRequest { dictionary, .. })
            | DictionaryRequest::Destroy(v1::DestroyDictionaryRequest { dictionary, .. }),
        ) => ("dictionary", dictionary),
        Request::List(
            ListRequest::Create(v1::CreateListRequest { list, .. })
            | ListRequest::Update(v1::UpdateListRequest { list, .. })
            | ListRequest::Enumerate(v1::EnumerateListRequest { list, .. })
            | ListRequest::Destroy(v1::DestroyListRequest { list, .. }),
        ) => ("list", list),
    };
    format!("{kind} {id}")
}

fn execution(request: &ExecutionRequest) -> &str {
    match request {
        ExecutionRequest::Create(request, _) => &request.execution,
        ExecutionRequest::Complete(request) => &request.execution,
        ExecutionRequest::Release(request) => &request.execution,
        ExecutionRequest::Get(request) => &request.execution,
        ExecutionRequest::Start(id)
        | ExecutionRequest::End(id, _)
        | ExecutionRequest::Forget(id)
        | ExecutionRequest::Expire(id)
        | ExecutionRequest::BeginStop { instance: id, .. } => id,
    }
}

fn stream(request: &StreamRequest) -> &str {
    match request {
        StreamRequest::Create(request) => &request.stream,
        StreamRequest::Start(request) => &request.stream,
        StreamRequest::Write(request) => &request.stream,
        StreamRequest::Complete(request) => &request.stream,
        StreamRequest::AttachListener(attach) => &attach.request.stream,
        StreamRequest::RemoveListener(request) => &request.stream,
        StreamRequest::Get(request) => &request.stream,
        StreamRequest::Destroy(request) => &request.stream,
        StreamRequest::AcknowledgeItems { stream, .. } | StreamRequest::DetachListener { stream, .. } => {
            stream
        }
        StreamRequest::Abandon(stream, _) | StreamRequest::DestroyOwned(stream) => stream,
    }
}
