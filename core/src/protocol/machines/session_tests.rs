use super::*;

type Requests = Session<&'static str, u32>;

fn session() -> Requests {
    let mut session = Session::new();
    session.limit(1000);
    session
}

/// Sends what may be sent, and tells what that was.
fn send(session: &mut Requests) -> Vec<u64> {
    let mut sent = Vec::new();
    while let Some((sequence, _)) = session.take() {
        sent.push(sequence);
    }
    sent
}

#[test]
fn requests_go_out_in_order_and_are_answered_once() {
    let mut session = session();
    for number in 1..=3 {
        assert_eq!(session.push(Class::Mutation, "write", number as u32), number);
    }
    assert_eq!(send(&mut session), [1, 2, 3]);
    assert_eq!(session.succeeded(2), Answered::Done("write", 2));
    assert_eq!(session.succeeded(2), Answered::Unknown);
    assert_eq!(session.failed(1), Answered::Done("write", 1));
    assert_eq!(session.failed(7), Answered::Unknown);
}

#[test]
fn callers_wait_at_the_limit() {
    let mut session = session();
    session.limit(2);
    for number in 1..=3 {
        session.push(Class::Mutation, "write", number);
    }
    assert_eq!(send(&mut session), [1, 2]);
    assert!(!session.can_take());
    session.succeeded(1);
    assert!(session.can_take());
    assert_eq!(send(&mut session), [3]);
    assert_eq!(session.in_flight(), 2);
}

#[test]
fn the_acknowledgement_is_cumulative() {
    let mut session = session();
    for number in 1..=4 {
        session.push(Class::Mutation, "write", number);
    }
    send(&mut session);
    // (answered, acknowledged then)
    for (answered, acknowledged) in [(2, None), (1, Some(2)), (4, None), (3, Some(4))] {
        session.succeeded(answered);
        assert_eq!(session.take_acknowledged(), acknowledged, "after {answered}");
        assert_eq!(session.take_acknowledged(), None);
    }
}

#[test]
fn after_a_reconnect_the_unanswered_go_first_in_order_under_their_own_numbers() {
    let mut session = session();
    for (number, class) in
        [(1, Class::Mutation), (2, Class::Read), (3, Class::Subscription), (4, Class::Mutation)]
    {
        session.push(class, "request", number);
    }
    send(&mut session);
    session.succeeded(1);
    session.push(Class::Mutation, "later", 5);
    // The subscription is dropped: its owner asks for it anew.
    assert_eq!(session.lost(), [3]);
    session.resumed();
    assert_eq!(session.in_flight(), 0);
    assert_eq!(send(&mut session), [2, 4, 5]);
    assert_eq!(session.in_flight(), 3);
}

#[test]
fn a_call_waits_after_its_answer_and_is_reported_received() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    session.push(Class::Wait, "wait", 2);
    send(&mut session);
    assert_eq!(session.succeeded(1), Answered::Waits);
    assert_eq!(session.succeeded(2), Answered::Waits);
    assert_eq!(session.in_flight(), 0);
    assert_eq!(session.completed(1), Some(1));
    assert_eq!(session.completed(2), Some(2));
    // Only a call is forgotten by the server; what others made is theirs.
    assert_eq!(session.take_received(), [1]);
}

#[test]
fn an_end_may_come_without_an_answer_before_it() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    send(&mut session);
    assert_eq!(session.completed(1), Some(1));
    assert_eq!(session.in_flight(), 0);
    assert_eq!(session.succeeded(1), Answered::Unknown);
}

#[test]
fn waits_are_registered_anew_under_new_numbers() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    send(&mut session);
    session.succeeded(1);
    session.lost();
    session.resumed();
    assert_eq!(send(&mut session), [2]);
    session.succeeded(2);
    session.lost();
    session.resumed();
    assert_eq!(send(&mut session), [3]);
    assert_eq!(session.completed(3), Some(1));
    // The server knows the call by all of its numbers.
    assert_eq!(session.take_received(), [1, 2, 3]);
}

#[test]
fn received_is_said_again_until_proven() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    send(&mut session);
    session.completed(1);
    assert_eq!(session.take_received(), [1]);
    assert!(!session.has_received());
    session.lost();
    assert_eq!(session.take_received(), [1]);
    // Sent behind it on the same connection, and answered: it has arrived.
    session.push(Class::Read, "read", 2);
    send(&mut session);
    session.succeeded(2);
    session.lost();
    assert!(session.take_received().is_empty());
}

#[test]
fn a_repeated_end_is_reported_received_again() {
    let mut session = session();
    assert_eq!(session.completed(9), None);
    assert_eq!(session.take_received(), [9]);
}

#[test]
fn an_expired_session_fails_what_may_have_taken_effect_and_keeps_the_rest() {
    let mut session = session();
    session.push(Class::Mutation, "sent", 1);
    session.push(Class::Read, "read", 2);
    session.push(Class::Call, "called", 3);
    session.push(Class::Wait, "waited for", 4);
    session.push(Class::Call, "running", 5);
    send(&mut session);
    session.succeeded(4);
    session.succeeded(5);
    session.push(Class::Mutation, "unsent", 6);
    session.push(Class::Call, "uncalled", 7);
    session.lost();
    assert_eq!(session.expired(), [1, 3, 5]);
    // The read and the unsent under their own numbers, the wait under a new one.
    assert_eq!(send(&mut session), [2, 6, 7, 8]);
    assert_eq!(session.failed(8), Answered::Done("waited for", 4));
}

#[test]
fn a_running_call_is_not_made_again_by_a_second_expiry() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    send(&mut session);
    session.succeeded(1);
    session.lost();
    // Registered anew, but lost before that was sent.
    session.resumed();
    session.lost();
    assert_eq!(session.expired(), [1]);
    assert!(send(&mut session).is_empty());
}

#[test]
fn only_what_was_never_sent_can_be_withdrawn() {
    let mut session = session();
    session.push(Class::Call, "sent", 1);
    send(&mut session);
    session.push(Class::Call, "queued", 2);
    assert_eq!(session.withdraw(1), None);
    assert_eq!(session.withdraw(2), Some(2));
    assert!(send(&mut session).is_empty());
    session.lost();
    assert_eq!(session.withdraw(1), None);
}

#[test]
fn a_postponed_request_is_kept_for_the_next_connection() {
    let mut session = session();
    session.push(Class::Mutation, "write", 1);
    send(&mut session);
    session.postponed(1);
    assert_eq!(session.in_flight(), 0);
    assert!(send(&mut session).is_empty());
    session.lost();
    session.resumed();
    assert_eq!(send(&mut session), [1]);
}

#[test]
fn everybody_is_given_back_at_the_end() {
    let mut session = session();
    session.push(Class::Call, "call", 1);
    session.push(Class::Mutation, "write", 2);
    send(&mut session);
    session.succeeded(1);
    session.push(Class::Read, "read", 3);
    let mut waiters = session.drain();
    waiters.sort_unstable();
    assert_eq!(waiters, [1, 2, 3]);
}
