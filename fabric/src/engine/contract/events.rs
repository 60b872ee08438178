use perper_proto::v1;

use super::data::{create_stream, persistent, write};
use super::executions::{call, cancel, complete, create};
use super::fixture::Fixture;
use crate::engine::{EndReason, Event, ExecutionRequest, StreamRequest, Subject};

pub(crate) fn the_last_state_is_told(fixture: &mut Fixture) {
    fixture.follow(&Subject::Pending("A".into()));
    fixture.follow(&Subject::Executions(None));
    fixture.send(create("e")).unwrap();
    let pending = |event: &Event| matches!(event, Event::Pending(it) if &*it.id == "e");
    fixture.told("that it is to be had", pending);
    let token = fixture.reserve("e");
    fixture.told("the claim", |event| matches!(event, Event::Claimed(it) if &*it.id == "e"));
    fixture.send(complete("e", &token)).unwrap();
    fixture.told("the end", |event| matches!(event, Event::Ended(it) if &*it.execution.id == "e"));
    fixture.send(ExecutionRequest::Forget("e".into())).unwrap();
    fixture.told("that it is gone", |event| matches!(event, Event::Removed(it) if &*it.id == "e"));
}

pub(crate) fn ends_are_told(fixture: &mut Fixture) {
    let timed = v1::CreateExecutionRequest { remaining_ms: 600_000, ..call("timed") };
    fixture.send(ExecutionRequest::Create(timed, None)).unwrap();
    fixture.send(create("ended")).unwrap();
    fixture.follow(&Subject::End("ended".into()));
    fixture.send(cancel("ended")).unwrap();
    // A server that starts knows nothing of what time has to end.
    for _ in 0..2 {
        fixture.told_to_one(
            "the deadline",
            |event| matches!(event, Event::Created(it) if &*it.id == "timed" && it.deadline.is_some()),
        );
        fixture.told("the end", |event| {
            matches!(event, Event::Ended(it)
                if &*it.execution.id == "ended" && it.reason == EndReason::Cancelled)
        });
        fixture.reopen();
    }
}

pub(crate) fn stream_changes_are_told(fixture: &mut Fixture) {
    fixture.send(create_stream("s", persistent())).unwrap();
    fixture.follow(&Subject::Stream("s".into()));
    fixture.send(StreamRequest::Write(write("s", 1, 1, &[1]))).unwrap();
    fixture.told("the items", |event| matches!(event, Event::StreamChanged(it) if &**it == "s"));
    let destroy = v1::DestroyStreamRequest { stream: "s".into(), identity: None };
    fixture.send(StreamRequest::Destroy(destroy)).unwrap();
    fixture.told(
        "that it is gone",
        |event| matches!(event, Event::StreamDestroyed { stream, .. } if &**stream == "s"),
    );
}
