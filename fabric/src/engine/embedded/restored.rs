//! The first start on data that was put back.
//!
//! What is put back is a past: others may have seen what came after it, and go on from there. A client whose session
//! went on would wait for items that nobody writes again, or work on an execution that another has. So data that is put
//! back begins a new life, under a new identity, and the sessions of the former one are over: whoever was there is told
//! `SESSION_EXPIRED`, and that outcomes are unknown, and begins anew with what there is.

use std::sync::mpsc;

use perper_proto::Reason;
use perper_store::{Result, Space, WriteBatch};

use super::Embedded;
use super::sessions::forget_secret;
use crate::engine::{EndReason, Engine, ExecutionQuery, ExecutionRequest, Operation, Request};

/// Says that the data was put back and not opened since.
const RESTORED: &[u8] = b"restored";

/// What is to be written over data that is put back, so that it begins a new life.
pub fn new_life() -> WriteBatch {
    let mut batch = WriteBatch::new();
    // Tokens of the former life, which may have had boots of the same number, are worth nothing.
    forget_secret(&mut batch);
    batch.put_slice(Space::Meta, RESTORED, &[]);
    batch
}

impl Embedded {
    /// Ends the sessions of a former life, as if their leases had run out, before anybody is served. What follows from
    /// that is found by whoever observes, as after any start.
    pub(super) fn end_former_life(&self) -> Result<()> {
        if self.store.get(Space::Meta, RESTORED)?.is_none() {
            return Ok(());
        }
        let sessions = self.sessions.all();
        tracing::info!(sessions = sessions.len(), "the data was restored: former sessions are over");
        for (session, _) in sessions {
            let query = ExecutionQuery { caller: Some(session), ..ExecutionQuery::default() };
            let calls = self.scan_executions(&query, 0, usize::MAX);
            let ends = calls.iter().map(|view| {
                let end = ExecutionRequest::End(view.execution.id.to_string(), EndReason::Cancelled);
                Operation { identity: None, request: Request::Execution(end) }
            });
            let (sender, receiver) = mpsc::channel();
            self.apply(ends.collect(), Box::new(move |outcomes| drop(sender.send(outcomes))));
            let failed = receiver.recv().into_iter().flatten().find_map(|outcome| {
                outcome.err().filter(|error| error.reason == Reason::StorageFailed.name())
            });
            if let Some(error) = failed {
                return Err(perper_store::Error::new(perper_store::ErrorKind::Io, error.message));
            }
            self.close_session(session);
        }
        // After all of that in the order of commits, so that a crash before it only has it done once more.
        let mut batch = WriteBatch::new();
        batch.delete(Space::Meta, RESTORED);
        batch.use_reserve();
        self.committer.commit(batch).wait()
    }
}
