use bytes::Bytes;
use perper_proto::v1;
use v1::response::Response;

use super::data::{add, create_list, create_stream, integer, length, persistent, pop, write};
use super::executions::{complete, create, create as create_execution};
use super::fixture::{Ask, Fixture, SESSION};
use crate::engine::{
    DictionaryRequest, Event, ExecutionRequest, Identity, ListRequest, Outcome, Place, Request, SessionId,
    StreamRequest,
};

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
    for _ in 0..2 {
        assert_eq!(fixture.send_as(Some(kept), add("l", 2)).unwrap(), outcome);
        assert_eq!(length(fixture, "l"), 2);
        // That it was acknowledged outlives what was kept of it.
        fixture.reopen();
        assert_eq!(fixture.send_as(Some(old), add("l", 1)).unwrap_err().reason, "SEQUENCE_ACKNOWLEDGED");
    }
}

pub(crate) fn outcomes_outlive_their_objects(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    let create = v1::CreateDictionaryRequest { dictionary: "d".into(), ..Default::default() };
    fixture.send(DictionaryRequest::Create(create)).unwrap();
    fixture.send(create_stream("s", persistent())).unwrap();
    fixture.send(create_execution("e")).unwrap();
    let token = fixture.reserve("e");
    let set =
        v1::dictionary_operation::Set { key: Bytes::from_static(&[1]), value: Bytes::from_static(&[2]) };
    let set =
        v1::DictionaryOperation { operation: Some(v1::dictionary_operation::Operation::SetIfAbsent(set)) };
    let set = v1::UpdateDictionaryRequest { dictionary: "d".into(), operations: vec![set], identity: None };
    let mutations: Vec<Request> = vec![
        add("l", 1).request(),
        DictionaryRequest::Update(set).request(),
        StreamRequest::Write(write("s", 1, 5, &[1])).request(),
        complete("e", &token).request(),
    ];
    let mutations: Vec<_> = mutations.into_iter().map(|request| (fixture.identity(), request)).collect();
    let carry_out = |fixture: &Fixture| -> Vec<Outcome> {
        let repeat =
            |(identity, request): &(Identity, Request)| fixture.send_as(Some(*identity), request.clone());
        mutations.iter().map(repeat).collect()
    };
    let outcomes = carry_out(fixture);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let list = v1::DestroyListRequest { list: "l".into(), identity: None };
    fixture.send(ListRequest::Destroy(list)).unwrap();
    let dictionary = v1::DestroyDictionaryRequest { dictionary: "d".into(), identity: None };
    fixture.send(DictionaryRequest::Destroy(dictionary)).unwrap();
    fixture.send(StreamRequest::DestroyOwned("s".into())).unwrap();
    fixture.send(ExecutionRequest::Forget("e".into())).unwrap();
    for _ in 0..2 {
        assert_eq!(carry_out(fixture), outcomes);
        fixture.reopen();
    }
}

pub(crate) fn requests_of_one_session_take_effect_in_order(fixture: &mut Fixture) {
    fixture.send(create_list("l")).unwrap();
    fixture.send(create_list("other")).unwrap();
    let requests = (0..40).map(|value| add(if value % 5 == 0 { "other" } else { "l" }, value)).collect();
    for outcome in fixture.send_all(requests) {
        outcome.unwrap();
    }
    let popped = |list| match fixture.send(pop(list)) {
        Ok(Some(Response::UpdateList(response))) => response.value,
        other => panic!("{other:?}"),
    };
    for value in (0..40).rev() {
        assert_eq!(popped(if value % 5 == 0 { "other" } else { "l" }), Some(integer(value)));
    }
}

pub(crate) fn a_session_is_at_the_server_that_opened_it(fixture: &mut Fixture) {
    let session = SessionId(8);
    for engine in fixture.engines() {
        assert_eq!(engine.find_session(session), None);
    }
    for _ in 0..3 {
        fixture.open_session(session);
        let places: Vec<_> = fixture.engines().map(|engine| engine.find_session(session)).collect();
        assert_eq!(places.iter().filter(|place| **place == Some(Place::Here)).count(), 1, "{places:?}");
        assert!(!places.contains(&None));
    }
    if fixture.engines().count() > 1 {
        fixture.told_to_any(
            "that the session moved",
            |event| matches!(event, Event::SessionMoved(moved) if *moved == session),
        );
    }
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
        // Each session is at one server.
        let mut known: Vec<_> = fixture.engines().flat_map(|engine| engine.sessions()).collect();
        known.sort_by_key(|(session, _)| *session);
        let known: Vec<_> = known.into_iter().map(|(session, _)| session).collect();
        known
    };
    assert_eq!(known(fixture), [SESSION, stays]);
    fixture.reopen();
    assert_eq!(known(fixture), [SESSION, stays]);
    assert!(fixture.engine().sessions().iter().all(|(_, hello)| hello.library == "contract"));
}
