use std::sync::mpsc;

use bytes::Bytes;
use perper_proto::v1;

use super::executions::{cancel, complete, create};
use super::fixture::{Fixture, SESSION};
use crate::engine::{Claim, EndReason, Event, ExecutionRequest, SessionId, Subject};

const OTHER: SessionId = SessionId(8);

fn release(id: &str, token: &Bytes) -> ExecutionRequest {
    let reservation = token.clone();
    ExecutionRequest::Release(v1::ReleaseExecutionRequest {
        execution: id.into(),
        reservation,
        identity: None,
    })
}

fn is_revoked(token: &Bytes, wanted: EndReason) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Revoked { token: it, reason, .. } if it == token && *reason == wanted)
}

pub(crate) fn one_holder_in_each_work_group(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    let first = fixture.claim("e", "", SESSION).unwrap();
    assert_eq!((first.attempt, &*first.execution.id), (1, "e"));
    for session in [SESSION, OTHER] {
        assert!(fixture.claim("e", "", session).is_none());
    }
    let audit = fixture.claim("e", "audit", OTHER).unwrap();
    assert!(fixture.claim("e", "audit", SESSION).is_none());
    assert_ne!(first.token, audit.token);
    for engine in fixture.engines() {
        assert_eq!(engine.reservations_of(SESSION), 1);
        assert_eq!(engine.reservations_of(OTHER), 1);
        let view = engine.view_execution("e").unwrap();
        assert_eq!(view.state, v1::ExecutionState::Reserved);
        assert_eq!(view.held.len(), 2);
    }
    // One work group's completion ends it for all.
    fixture.send(complete("e", &first.token)).unwrap();
    fixture.told("the other work group's loss", is_revoked(&audit.token, EndReason::Completed));
    assert_eq!(fixture.refusal(complete("e", &audit.token)), "RESERVATION_LOST");
    assert_eq!(fixture.engine().reservations_of(OTHER), 0);
}

pub(crate) fn many_claim_and_one_gets_it(fixture: &mut Fixture) {
    let ids: Vec<String> = (0..50).map(|number| format!("e{number}")).collect();
    for id in &ids {
        fixture.send(create(id)).unwrap();
    }
    let (sender, receiver) = mpsc::channel();
    let claimants = 6;
    let engines: Vec<_> = (0..claimants).map(|_| fixture.engine().clone()).collect();
    let threads: Vec<_> = engines
        .into_iter()
        .enumerate()
        .map(|(claimant, engine)| {
            let (ids, sender) = (ids.clone(), sender.clone());
            std::thread::spawn(move || {
                let session = SessionId(100 + claimant as u128);
                for id in ids {
                    let execution = engine.view_execution(&id).unwrap().execution;
                    let claim = Claim { execution, group: "".into(), session };
                    let sender = sender.clone();
                    engine.claim(vec![claim], Box::new(move |answers| drop(sender.send(answers))));
                }
            })
        })
        .collect();
    drop(sender);
    let won: usize = receiver.iter().flatten().flatten().count();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(won, ids.len());
}

pub(crate) fn completion_is_fenced(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    let stale = fixture.claim("e", "", OTHER).unwrap().token;
    fixture.engine().release_reservations(OTHER, &[]);
    fixture.told("the loss", is_revoked(&stale, EndReason::ReservationLost));
    let token = fixture.reserve("e");
    assert_eq!(fixture.refusal(complete("e", &stale)), "RESERVATION_LOST");
    assert_eq!(fixture.refusal(release("e", &stale)), "RESERVATION_LOST");
    let mut forged = token.to_vec();
    forged[0] ^= 1;
    assert_eq!(fixture.refusal(complete("e", &forged.into())), "RESERVATION_LOST");

    let identity = Some(fixture.identity());
    for _ in 0..3 {
        fixture.send_as(identity, complete("e", &token)).unwrap();
        assert_eq!(fixture.refusal(complete("e", &stale)), "RESERVATION_LOST");
    }
    // Also when all that is left of the execution is its outcome.
    fixture.send(ExecutionRequest::Forget("e".into())).unwrap();
    fixture.send_as(identity, complete("e", &token)).unwrap();
    assert_eq!(fixture.refusal(complete("e", &stale)), "RESERVATION_LOST");
}

pub(crate) fn given_back_unharmed_costs_no_attempt(fixture: &mut Fixture) {
    fixture.follow(&Subject::Pending("A".into()));
    fixture.send(create("e")).unwrap();
    for _ in 0..40 {
        let reservation = fixture.claim("e", "", SESSION).unwrap();
        assert_eq!(reservation.attempt, 1);
        fixture.send(release("e", &reservation.token)).unwrap();
    }
    fixture.told(
        "that it is to be had",
        |event| matches!(event, Event::Pending(execution) if &*execution.id == "e"),
    );
    assert_eq!(fixture.engine().reservations_of(SESSION), 0);
}

pub(crate) fn lost_ones_cost_an_attempt_until_there_are_none_left(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    for attempt in 1..=16 {
        let reservation = fixture.claim("e", "", OTHER).unwrap();
        assert_eq!(reservation.attempt, attempt);
        fixture.engine().release_reservations(OTHER, &[]);
        fixture.told("the loss", is_revoked(&reservation.token, EndReason::ReservationLost));
        if attempt == 8 {
            // Whoever restarts a server again and again must not keep a poisonous call alive.
            fixture.reopen();
        }
    }
    fixture.told_to_one(
        "its end",
        |event| matches!(event, Event::Ended(ended) if ended.reason == EndReason::AttemptsExhausted),
    );
    assert!(fixture.claim("e", "", OTHER).is_none());
    assert_eq!(fixture.get("e").unwrap().end.unwrap().error.unwrap().reason, "ATTEMPTS_EXHAUSTED");
}

pub(crate) fn attempts_are_counted_for_each_work_group(fixture: &mut Fixture) {
    fixture.send(create("e")).unwrap();
    let lose = |fixture: &Fixture, group: &str, attempt| {
        let reservation = fixture.claim("e", group, OTHER).unwrap();
        assert_eq!(reservation.attempt, attempt, "{group:?}");
        fixture.engine().release_reservations(OTHER, &[]);
    };
    for attempt in 1..=5 {
        lose(fixture, "audit", attempt);
    }
    lose(fixture, "", 1);
    fixture.reopen();
    lose(fixture, "", 2);
    lose(fixture, "audit", 6);
    lose(fixture, "late", 1);
}

pub(crate) fn a_session_goes_on_after_a_restart(fixture: &mut Fixture) {
    for id in ["e", "taken", "ended"] {
        fixture.send(create(id)).unwrap();
    }
    let tokens: Vec<Bytes> = ["e", "taken", "ended"].iter().map(|id| fixture.reserve(id)).collect();
    fixture.send(cancel("ended")).unwrap();
    fixture.reopen();
    assert!(
        fixture.engine().recovered_through()
            >= fixture.engine().view_execution("e").unwrap().execution.number
    );
    fixture.claim("taken", "", OTHER).unwrap();
    // What another session was given is nobody else's, whoever knows the token.
    assert!(fixture.engine().adopt(OTHER, &tokens[..1]).is_empty());
    let stands = fixture.engine().adopt(SESSION, &tokens);
    let stands: Vec<_> =
        stands.iter().map(|reservation| (&*reservation.execution.id, &reservation.token)).collect();
    assert_eq!(stands, [("e", &tokens[0])]);
    assert!(fixture.claim("e", "", OTHER).is_none());
    assert_eq!(fixture.engine().reservations_of(SESSION), 1);
    fixture.send(complete("e", &tokens[0])).unwrap();
    assert_eq!(fixture.refusal(complete("taken", &tokens[1])), "RESERVATION_LOST");
}

pub(crate) fn nothing_is_taken_for_what_is_gone(fixture: &mut Fixture) {
    fixture.send(create("first")).unwrap();
    for boot in 0..3 {
        // The last one that there is, so that nothing but what is on record tells of it.
        let gone = format!("gone{boot}");
        fixture.send(create(&gone)).unwrap();
        let token = fixture.reserve(&gone);
        let number = fixture.engine().view_execution(&gone).unwrap().execution.number;
        fixture.send(cancel(&gone)).unwrap();
        fixture.send(ExecutionRequest::Forget(gone.clone())).unwrap();
        fixture.reopen();
        let next = format!("next{boot}");
        fixture.send(create(&next)).unwrap();
        assert!(fixture.engine().view_execution(&next).unwrap().execution.number > number);
        let stands = fixture.engine().adopt(SESSION, std::slice::from_ref(&token));
        assert!(stands.is_empty(), "{} is held by the token of {gone}", stands[0].execution.id);
        fixture.claim(&next, "", SESSION).unwrap();
        fixture.send(cancel(&next)).unwrap();
    }
}

pub(crate) fn a_session_keeps_what_it_says(fixture: &mut Fixture) {
    for id in ["kept", "left", "others"] {
        fixture.send(create(id)).unwrap();
    }
    let (kept, left) = (fixture.reserve("kept"), fixture.reserve("left"));
    let others = fixture.claim("others", "", OTHER).unwrap().token;
    // A token of another session's is no reason to keep that one.
    fixture.engine().release_reservations(SESSION, &[kept.clone(), others.clone()]);
    fixture.told("the loss", is_revoked(&left, EndReason::ReservationLost));
    assert!(fixture.claim("kept", "", OTHER).is_none());
    let again = fixture.claim("left", "", OTHER).unwrap();
    assert_eq!(again.attempt, 2);
    fixture.send(complete("kept", &kept)).unwrap();
    fixture.send(complete("others", &others)).unwrap();
    assert!(!fixture.any_told(is_revoked(&kept, EndReason::ReservationLost)));
}
