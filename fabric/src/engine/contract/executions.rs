use bytes::Bytes;
use perper_proto::v1;

use super::fixture::{Fixture, SESSION};
use crate::engine::{
    EndReason, Event, ExecutionQuery, ExecutionRequest, ExecutionView, Owned, SessionId, StreamRequest,
};

/// A call of agent "A" that is like every other but for its id.
pub(super) fn call(id: &str) -> v1::CreateExecutionRequest {
    v1::CreateExecutionRequest {
        execution: id.into(),
        agent: "A".into(),
        delegate: "d".into(),
        arguments: vec![Bytes::from_static(&[1])],
        ..Default::default()
    }
}

pub(super) fn create(id: &str) -> ExecutionRequest {
    ExecutionRequest::Create(call(id), None)
}

pub(super) fn complete(id: &str, token: &Bytes) -> ExecutionRequest {
    ExecutionRequest::Complete(v1::CompleteExecutionRequest {
        execution: id.into(),
        reservation: token.clone(),
        results: vec![Bytes::from_static(&[2])],
        ..Default::default()
    })
}

pub(super) fn cancel(id: &str) -> ExecutionRequest {
    ExecutionRequest::End(id.into(), EndReason::Cancelled)
}

fn forget(id: &str) -> ExecutionRequest {
    ExecutionRequest::Forget(id.into())
}

fn ids(views: &[ExecutionView]) -> Vec<&str> {
    views.iter().map(|view| &*view.execution.id).collect()
}

fn missing(fixture: &Fixture, id: &str) -> String {
    fixture.get(id).expect_err("it is gone").reason
}

pub(crate) fn equal_content_attaches_and_other_conflicts(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    fixture.send(create("e")).unwrap();
    let other = v1::CreateExecutionRequest { delegate: "other".into(), ..call("e") };
    assert_eq!(fixture.refusal(ExecutionRequest::Create(other, None)), "ALREADY_EXISTS");
    fixture.reopen();
    fixture.send(create("e")).unwrap();
    let other = v1::CreateExecutionRequest { arguments: Vec::new(), ..call("e") };
    assert_eq!(fixture.refusal(ExecutionRequest::Create(other, None)), "ALREADY_EXISTS");
    assert_eq!(fixture.engine().count_executions(&ExecutionQuery::default()), 1);
}

pub(crate) fn deadlines_are_stamped_once(fixture: &mut Fixture) {
    let with_deadline = |id: &str, remaining_ms| v1::CreateExecutionRequest { remaining_ms, ..call(id) };
    let deadline =
        |fixture: &Fixture, id: &str| fixture.engine().view_execution(id).unwrap().execution.deadline;
    fixture.send(ExecutionRequest::Create(with_deadline("e", 600_000), None)).unwrap();
    let stamped = deadline(fixture, "e").unwrap();
    // By its nature, what remains is less when a client asks again.
    fixture.send(ExecutionRequest::Create(with_deadline("e", 500_000), None)).unwrap();
    assert_eq!(deadline(fixture, "e"), Some(stamped));

    let parent = Some(v1::Parent { execution: "e".into(), reservation: fixture.reserve("e") });
    for (id, remaining_ms) in [("none", 0), ("later", 3_600_000)] {
        let child = v1::CreateExecutionRequest { parent: parent.clone(), ..with_deadline(id, remaining_ms) };
        fixture.send(ExecutionRequest::Create(child, None)).unwrap();
        assert_eq!(deadline(fixture, id), Some(stamped), "{id}");
    }
    let child = v1::CreateExecutionRequest { parent, ..with_deadline("earlier", 1_000) };
    fixture.send(ExecutionRequest::Create(child, None)).unwrap();
    assert!(deadline(fixture, "earlier").unwrap() < stamped);
    fixture.reopen();
    assert_eq!(deadline(fixture, "e"), Some(stamped));
}

pub(crate) fn ends_leave_their_reason(fixture: &mut Fixture) {
    let ends = [
        (EndReason::Cancelled, "EXECUTION_CANCELLED"),
        (EndReason::Deadline, "EXECUTION_DEADLINE"),
        (EndReason::OwnerGone, "OWNER_GONE"),
    ];
    for (end, reason) in ends {
        fixture.send(create(reason)).unwrap();
        fixture.send(ExecutionRequest::End(reason.into(), end)).unwrap();
        let kept = fixture.get(reason).unwrap().end.unwrap();
        assert_eq!(kept.error.unwrap().reason, reason);
        fixture.send(forget(reason)).unwrap();
        assert_eq!(missing(fixture, reason), reason);
        assert_eq!(fixture.refusal(create(reason)), reason);
    }
    for id in ["forgotten", "expired"] {
        fixture.send(create(id)).unwrap();
        let token = fixture.reserve(id);
        fixture.send(complete(id, &token)).unwrap();
        assert_eq!(fixture.get(id).unwrap().end.unwrap().results, [Bytes::from_static(&[2])]);
    }
    fixture.send(forget("forgotten")).unwrap();
    assert_eq!(missing(fixture, "forgotten"), "EXECUTION_COMPLETED");
    fixture.send(ExecutionRequest::Expire("expired".into())).unwrap();
    assert_eq!(missing(fixture, "expired"), "EXECUTION_EXPIRED");
    assert_eq!(missing(fixture, "nobody"), "NOT_FOUND");
}

pub(crate) fn a_forgotten_one_is_cancelled_first(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    let token = fixture.reserve("e");
    fixture.send(forget("e")).unwrap();
    assert_eq!(missing(fixture, "e"), "EXECUTION_CANCELLED");
    assert_eq!(fixture.refusal(complete("e", &token)), "RESERVATION_LOST");
    // Forgotten already is what was asked for.
    fixture.send(forget("e")).unwrap();
    // One that runs is not expired.
    fixture.send(create("runs")).unwrap();
    fixture.send(ExecutionRequest::Expire("runs".into())).unwrap();
    fixture.reserve("runs");
}

pub(crate) fn a_completion_after_the_deadline_is_too_late(fixture: &mut Fixture) {
    // On a busy machine a short deadline may pass before the execution can be reserved.
    let reserved = |span: &u64| {
        let id = format!("within {span} ms");
        let short = v1::CreateExecutionRequest { remaining_ms: *span, ..call(&id) };
        fixture.send(ExecutionRequest::Create(short, None)).unwrap();
        Some((*span, fixture.claim(&id, "", SESSION)?.token, id))
    };
    let (span, token, id) =
        [200, 1_000, 5_000, 20_000].iter().find_map(reserved).expect("it is reserved in time");
    // Until the deadline has passed for certain; nobody has ended the execution for it.
    std::thread::sleep(std::time::Duration::from_millis(span + 1));
    assert_eq!(fixture.refusal(complete(&id, &token)), "RESERVATION_LOST");
    let end = fixture.get(&id).unwrap().end.unwrap();
    assert_eq!(end.error.unwrap().reason, "EXECUTION_DEADLINE");
}

pub(crate) fn an_ended_one_stays_as_it_is(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    let token = fixture.reserve("e");
    fixture.send(complete("e", &token)).unwrap();
    fixture.send(cancel("e")).unwrap();
    fixture.send(ExecutionRequest::End("e".into(), EndReason::Deadline)).unwrap();
    for _ in 0..2 {
        let execution = fixture.get("e").unwrap();
        assert_eq!(execution.state(), v1::ExecutionState::Completed);
        assert_eq!(execution.end.unwrap().error, None);
        assert!(fixture.claim("e", "", SESSION).is_none());
        fixture.reopen();
    }
}

pub(crate) fn only_manual_ones_complete_without_a_reservation(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    assert_eq!(fixture.refusal(complete("e", &Bytes::new())), "NOT_MANUAL");
    let manual = v1::CreateExecutionRequest { manual: true, ..call("manual") };
    fixture.send(ExecutionRequest::Create(manual, None)).unwrap();
    fixture.send(complete("manual", &Bytes::new())).unwrap();
    assert_eq!(fixture.refusal(complete("manual", &Bytes::new())), "RESERVATION_LOST");
}

pub(crate) fn those_that_wait_for_a_listener_are_kept_back(fixture: &mut Fixture) {
    let generator = v1::CreateExecutionRequest {
        linked_stream: "s".into(),
        starts_on_listener: true,
        ..call("generator")
    };
    fixture.send(ExecutionRequest::Create(generator, None)).unwrap();
    fixture.reopen();
    assert_eq!(fixture.get("generator").unwrap().state(), v1::ExecutionState::Waiting);
    assert!(fixture.claim("generator", "", SESSION).is_none());
    for _ in 0..2 {
        fixture.send(ExecutionRequest::Start("generator".into())).unwrap();
    }
    fixture.reopen();
    assert_eq!(fixture.get("generator").unwrap().state(), v1::ExecutionState::Pending);
    fixture.reserve("generator");
}

pub(crate) fn instances_that_stop_take_no_calls(fixture: &mut Fixture) {
    let instance = v1::CreateExecutionRequest { agent: "Registry".into(), instance: "A".into(), ..call("i") };
    fixture.send(ExecutionRequest::Create(instance, None)).unwrap();
    let of_instance = |id: &str, delegate: &str| {
        let delegate = delegate.to_owned();
        let request = v1::CreateExecutionRequest { instance: "i".into(), delegate, ..call(id) };
        ExecutionRequest::Create(request, None)
    };
    fixture.send(of_instance("before", "d")).unwrap();
    let incarnation = fixture.get("i").unwrap().incarnation;
    assert_ne!(incarnation, 0);
    assert_eq!(fixture.get("before").unwrap().incarnation, incarnation);
    for _ in 0..2 {
        fixture.send(ExecutionRequest::BeginStop { instance: "i".into(), force: false }).unwrap();
    }
    fixture.reopen();
    assert_eq!(fixture.refusal(of_instance("after", "d")), "INSTANCE_STOPPING");
    fixture.send(of_instance("stop", "Stop")).unwrap();
    // Nobody completes an instance, however it was created.
    let token = fixture.reserve("i");
    assert_eq!(fixture.refusal(complete("i", &token)), "RESERVATION_LOST");
    let manual = v1::CreateExecutionRequest {
        agent: "Registry".into(),
        instance: "A".into(),
        manual: true,
        ..call("manual")
    };
    fixture.send(ExecutionRequest::Create(manual, None)).unwrap();
    assert_eq!(fixture.refusal(complete("manual", &Bytes::new())), "RESERVATION_LOST");
    // Whoever starts is told to carry it through, until it is done.
    let is_stop = |forced: bool| move |event: &Event| matches!(event, Event::Stopping { instance, force } if &*instance.id == "i" && *force == forced);
    fixture.told("the stop", is_stop(false));
    fixture.send(ExecutionRequest::BeginStop { instance: "i".into(), force: true }).unwrap();
    fixture.send(ExecutionRequest::BeginStop { instance: "i".into(), force: false }).unwrap();
    fixture.reopen();
    fixture.told("that the stop is forced", is_stop(true));
    fixture.send(forget("i")).unwrap();
    assert_eq!(fixture.refusal(of_instance("too late", "d")), "INSTANCE_STOPPING");
    fixture.reopen();
    assert!(!fixture.any_told(is_stop(true)));
    assert_eq!(
        fixture.refusal(ExecutionRequest::BeginStop { instance: "none".into(), force: true }),
        "NOT_FOUND"
    );
}

pub(crate) fn scans_count_and_page_in_order(fixture: &mut Fixture) {
    let caller = SessionId(9);
    for (id, agent, delegate) in [("a1", "A", "d"), ("b1", "B", "d"), ("a2", "A", "e"), ("a3", "A", "d")] {
        let request =
            v1::CreateExecutionRequest { agent: agent.into(), delegate: delegate.into(), ..call(id) };
        fixture.send(ExecutionRequest::Create(request, (id == "a2").then_some(caller))).unwrap();
    }
    let token = fixture.reserve("a1");
    let agent = || ExecutionQuery { agent: Some("A".into()), ..Default::default() };
    let claimable = || ExecutionQuery { claimable: true, ..agent() };
    let holds = |query: &ExecutionQuery, expected: &[&str]| {
        for engine in fixture.engines() {
            assert_eq!(ids(&engine.scan_executions(query, 0, usize::MAX)), expected, "{query:?}");
            assert_eq!(engine.count_executions(query), expected.len() as u64, "{query:?}");
        }
    };
    holds(&ExecutionQuery::default(), &["a1", "b1", "a2", "a3"]);
    holds(&agent(), &["a1", "a2", "a3"]);
    // What one work group has reserved may be claimed in another.
    holds(&claimable(), &["a1", "a2", "a3"]);
    holds(&ExecutionQuery { delegates: vec!["e".into()], ..agent() }, &["a2"]);
    holds(&ExecutionQuery { caller: Some(caller), ..Default::default() }, &["a2"]);
    holds(&ExecutionQuery { agent: Some("C".into()), ..Default::default() }, &[]);

    let first = fixture.engine().scan_executions(&agent(), 0, 2);
    assert_eq!(ids(&first), ["a1", "a2"]);
    let after = first[1].execution.number;
    assert_eq!(ids(&fixture.engine().scan_executions(&agent(), after, 2)), ["a3"]);

    fixture.send(complete("a1", &token)).unwrap();
    fixture.send(cancel("a2")).unwrap();
    holds(&claimable(), &["a3"]);
    holds(&ExecutionQuery { caller: Some(caller), ..Default::default() }, &[]);
    fixture.reopen();
    let claimable = fixture.engine().scan_executions(&claimable(), 0, usize::MAX);
    assert_eq!(ids(&claimable), ["a3"]);
}

pub(crate) fn owners_are_asked_for_their_property(fixture: &mut Fixture) {
    let owner = Some(v1::Owner { instance: "i".into() });
    let owned = v1::CreateExecutionRequest { owner: owner.clone(), ..call("e") };
    fixture.send(ExecutionRequest::Create(owned, None)).unwrap();
    let stream = v1::CreateStreamRequest { stream: "s".into(), owner: owner.clone(), ..Default::default() };
    fixture.send(StreamRequest::Create(stream)).unwrap();
    let dictionary =
        v1::CreateDictionaryRequest { dictionary: "d".into(), owner: owner.clone(), ..Default::default() };
    fixture.send(crate::engine::DictionaryRequest::Create(dictionary)).unwrap();
    let list = v1::CreateListRequest { list: "l".into(), owner, ..Default::default() };
    fixture.send(crate::engine::ListRequest::Create(list)).unwrap();
    fixture.send(create("detached")).unwrap();
    for _ in 0..2 {
        let owned = fixture.engine().owned_by("i");
        assert_eq!(owned.len(), 4, "{owned:?}");
        for object in [
            Owned::Execution("e".into()),
            Owned::Stream("s".into()),
            Owned::Dictionary("d".into()),
            Owned::List("l".into()),
        ] {
            assert!(owned.contains(&object), "{object:?} is not in {owned:?}");
        }
        fixture.reopen();
    }
    fixture.send(StreamRequest::DestroyOwned("s".into())).unwrap();
    fixture.send(cancel("e")).unwrap();
    fixture.send(forget("e")).unwrap();
    assert_eq!(fixture.engine().owned_by("i").len(), 2);
    assert_eq!(fixture.engine().owned_by("nobody"), []);
}
