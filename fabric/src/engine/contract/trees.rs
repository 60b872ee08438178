use bytes::Bytes;
use perper_proto::v1;

use super::executions::{call, cancel, complete, create};
use super::fixture::{Fixture, SESSION};
use crate::engine::{Event, ExecutionQuery, ExecutionRequest, SessionId};

fn child(id: &str, parent: &str, token: &Bytes) -> ExecutionRequest {
    let parent = Some(v1::Parent { execution: parent.into(), reservation: token.clone() });
    ExecutionRequest::Create(v1::CreateExecutionRequest { parent, ..call(id) }, None)
}

fn is_orphan(id: &str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Orphaned(orphans) if orphans.iter().any(|orphan| **orphan == *id))
}

pub(crate) fn children_need_a_running_parent(fixture: &mut Fixture) {
    fixture.send(create("parent")).unwrap();
    assert_eq!(fixture.refusal(child("c0", "parent", &Bytes::from_static(b"made up"))), "PARENT_ENDED");
    let token = fixture.reserve("parent");
    fixture.send(child("c1", "parent", &token)).unwrap();
    let query = ExecutionQuery { parent: Some("parent".into()), ..Default::default() };
    assert_eq!(fixture.engine().count_executions(&query), 1);
    fixture.send(complete("parent", &token)).unwrap();
    assert_eq!(fixture.refusal(child("c2", "parent", &token)), "PARENT_ENDED");
    assert_eq!(fixture.refusal(child("c3", "nobody", &token)), "PARENT_ENDED");
}

pub(crate) fn children_are_orphaned_with_the_attempt(fixture: &mut Fixture) {
    let worker = SessionId(8);
    // However an attempt ends.
    type End = fn(&Fixture, &str, &Bytes);
    let ends: [(&str, End); 4] = [
        ("completed", |fixture, id, token| drop(fixture.send(complete(id, token)).unwrap())),
        ("cancelled", |fixture, id, _| drop(fixture.send(cancel(id)).unwrap())),
        ("forgotten", |fixture, id, _| drop(fixture.send(ExecutionRequest::Forget(id.into())).unwrap())),
        ("lost", |fixture, _, _| fixture.engine().release_reservations(SessionId(8), &[])),
    ];
    for (id, end) in ends {
        fixture.send(create(id)).unwrap();
        let token = fixture.claim(id, "", worker).unwrap().token;
        let name = format!("child of {id}");
        fixture.send(child(&name, id, &token)).unwrap();
        assert!(!fixture.any_told(is_orphan(&name)));
        end(fixture, id, &token);
        fixture.told_to_one(&name, is_orphan(&name));
    }
    // The one that was lost is tried again, with children of its own.
    let token = fixture.claim("lost", "", SESSION).unwrap().token;
    fixture.send(child("of the second attempt", "lost", &token)).unwrap();
    assert!(!fixture.any_told(is_orphan("of the second attempt")));
}

pub(crate) fn orphans_are_told_again_after_a_restart(fixture: &mut Fixture) {
    fixture.send(create("ends")).unwrap();
    let token = fixture.reserve("ends");
    fixture.send(child("orphan", "ends", &token)).unwrap();
    fixture.send(create("stands")).unwrap();
    let stands = fixture.reserve("stands");
    fixture.send(child("attached", "stands", &stands)).unwrap();
    fixture.send(complete("ends", &token)).unwrap();
    // Nobody has cancelled it: the server that was told of it may have gone before.
    for _ in 0..2 {
        fixture.reopen();
        fixture.told("the orphan", is_orphan("orphan"));
    }
    // An attempt that its worker goes on with keeps what it called; one that it does not loses it.
    assert_eq!(fixture.engine().adopt(SESSION, std::slice::from_ref(&stands)).len(), 1);
    assert!(!fixture.any_told(is_orphan("attached")));
    fixture.reopen();
    fixture.claim("stands", "", SessionId(8)).unwrap();
    fixture.told_to_one("what the former attempt called", is_orphan("attached"));
    fixture.send(cancel("orphan")).unwrap();
    fixture.reopen();
    fixture.told("the end", |event| matches!(event, Event::Ended(it) if &*it.execution.id == "orphan"));
    assert!(!fixture.any_told(is_orphan("orphan")));
}
