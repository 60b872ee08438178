use perper_proto::v1::response::Response;

use super::data::{add, create_list, length, pop};
use super::executions::{complete, create};
use super::fixture::{Fixture, SESSION};
use crate::engine::{ExecutionRequest, Identity, SessionId};

pub(crate) fn a_repeat_gets_the_same_outcome_and_changes_nothing(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    for value in 1..=3 {
        fixture.send(add("l", value)).unwrap();
    }
    let identity = Some(fixture.identity());
    let first = fixture.send_as(identity, pop("l")).unwrap();
    for _ in 0..4 {
        assert_eq!(fixture.send_as(identity, pop("l")).unwrap(), first);
    }
    assert_eq!(length(fixture, "l"), 2);

    let identity = Some(fixture.identity());
    let created = |outcome| match outcome {
        Some(Response::CreateExecution(response)) => response.created,
        other => panic!("{other:?}"),
    };
    assert!(created(fixture.send_as(identity, create("e")).unwrap()));
    assert!(created(fixture.send_as(identity, create("e")).unwrap()));
    // Another request that asks for the same is not the same request.
    assert!(!created(fixture.send(create("e")).unwrap()));
}

pub(crate) fn a_refusal_is_kept_too(fixture: &mut Fixture) {
    let identity = Some(fixture.identity());
    let refusal = fixture.send_as(identity, add("l", 1)).unwrap_err();
    fixture.send(create_list("l")).unwrap();
    assert_eq!(fixture.send_as(identity, add("l", 1)).unwrap_err(), refusal);
    assert_eq!(length(fixture, "l"), 0);
}

pub(crate) fn outcomes_outlive_a_restart(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    fixture.send(add("l", 1)).unwrap();
    fixture.send(add("l", 2)).unwrap();
    let popping = Some(fixture.identity());
    let popped = fixture.send_as(popping, pop("l")).unwrap();
    fixture.send(create("e")).unwrap();
    let token = fixture.reserve("e");
    let completing = Some(fixture.identity());
    fixture.send_as(completing, complete("e", &token)).unwrap();
    fixture.reopen();
    assert_eq!(fixture.send_as(popping, pop("l")).unwrap(), popped);
    assert_eq!(length(fixture, "l"), 1);
    fixture.send_as(completing, complete("e", &token)).unwrap();
}

pub(crate) fn what_is_acknowledged_is_refused(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    let old = fixture.identity();
    fixture.send_as(Some(old), add("l", 1)).unwrap();
    let kept = fixture.identity();
    let outcome = fixture.send_as(Some(kept), add("l", 2)).unwrap();
    for engine in fixture.engines() {
        engine.acknowledge(SESSION, old.sequence);
    }
    let refusal = fixture.send_as(Some(old), add("l", 1)).unwrap_err();
    assert_eq!(refusal.reason, "SEQUENCE_ACKNOWLEDGED");
    assert_eq!(fixture.send_as(Some(kept), add("l", 2)).unwrap(), outcome);
    assert_eq!(length(fixture, "l"), 2);
}

pub(crate) fn a_closed_session_leaves_no_outcomes(fixture: &mut Fixture) {
    let session = SessionId(8);
    fixture.open_session(session);
    fixture.send(create_list("l")).unwrap();
    let identity = Some(Identity { session, sequence: 1 });
    fixture.send_as(identity, add("l", 1)).unwrap();
    fixture.engine().close_session(session);
    fixture.open_session(session);
    // A session of that id begins anew, with sequences of its own.
    fixture.send_as(identity, add("l", 1)).unwrap();
    assert_eq!(length(fixture, "l"), 2);
}

pub(crate) fn sessions_are_on_record(fixture: &mut Fixture) {
    let (stays, goes) = (SessionId(8), SessionId(9));
    fixture.open_session(stays);
    fixture.open_session(goes);
    fixture.engine().close_session(goes);
    // What comes after a close in the order of one thread is durable after it.
    fixture.send(ExecutionRequest::Expire("nobody".into())).unwrap();
    let known = |fixture: &Fixture| {
        let mut known: Vec<_> = fixture.engine().sessions().into_iter().map(|(session, _)| session).collect();
        known.sort();
        known
    };
    assert_eq!(known(fixture), [SESSION, stays]);
    fixture.reopen();
    assert_eq!(known(fixture), [SESSION, stays]);
    assert!(fixture.engine().sessions().iter().all(|(_, hello)| hello.library == "contract"));
}
