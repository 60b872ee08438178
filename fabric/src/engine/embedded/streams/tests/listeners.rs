use perper_proto::v1::attach_listener_request::Start;
use perper_proto::v1::{self, StreamOptions};

use super::fixture::{Fixture, SESSION, packed, persistent, run};
use crate::engine::{Engine, Event, Owned, SessionId, StreamRequest};

fn detach(fixture: &mut Fixture, listener: &str, epoch: u64) {
    let (stream, listener) = ("s".to_owned(), listener.to_owned());
    fixture.send(StreamRequest::DetachListener { stream, listener, epoch }).unwrap();
}

fn names(fixture: &Fixture) -> usize {
    fixture.engine().scan_listeners(Some("s"), ("", ""), 99).len()
}

#[test]
fn listening_starts_where_it_is_asked_to() {
    let table = [
        (None, 8),
        (Some(Start::Latest(true)), 8),
        (Some(Start::Beginning(true)), 1),
        (Some(Start::Key(5)), 5),
        (Some(Start::Key(100)), 100),
        (Some(Start::ResumeAfter(5)), 6),
    ];
    for (start, expected) in table {
        let mut fixture = Fixture::new();
        fixture.create(persistent());
        fixture.write(run(1, 7, 1)).unwrap();
        let response = fixture.attach("name", start);
        assert_eq!(
            (response.start_key, response.items_removed, response.epoch),
            (expected, false, 1),
            "{start:?}"
        );
    }
    let table = [
        (None, 15),
        (Some(Start::Beginning(true)), 5),
        (Some(Start::Key(6)), 10),
        (Some(Start::ResumeAfter(5)), 10),
        (Some(Start::ResumeAfter(i64::MIN)), 5),
    ];
    for (start, expected) in table {
        let mut fixture = Fixture::new();
        fixture.create(StreamOptions { persistent: true, ..packed(5, 5) });
        fixture.write(run(5, 2, 5)).unwrap();
        assert_eq!(fixture.attach("name", start).start_key, expected, "{start:?}");
    }
}

#[test]
fn the_first_listener_of_an_ephemeral_stream_gets_what_was_kept_for_it() {
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 3, 1)).unwrap();
    assert_eq!(fixture.attach("first", None).start_key, 1);
    assert_eq!(fixture.attach("second", None).start_key, 4);
    // Having had one counts, not having one now.
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 3, 1)).unwrap();
    fixture.attach("#1", None);
    detach(&mut fixture, "#1", 1);
    fixture.restart();
    assert!(fixture.stream().listened);
    assert_eq!(fixture.attach("#2", None).start_key, 4);
}

#[test]
fn the_first_listener_is_told_once() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    let listened = |fixture: &Fixture| {
        fixture.events().into_iter().filter(|event| matches!(event, Event::StreamListened { .. })).count()
    };
    assert_eq!(listened(&fixture), 0);
    fixture.attach("a", None);
    assert_eq!(listened(&fixture), 1);
    fixture.attach("b", None);
    assert_eq!(listened(&fixture), 0);
}

#[test]
fn a_named_listener_goes_on_where_it_was_and_is_taken_over() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    fixture.write(run(1, 10, 1)).unwrap();
    fixture.attach("name", Some(Start::Beginning(true)));
    fixture.acknowledge("name", 1, 4);
    fixture.events();
    let other = SessionId(99);
    let response = fixture.attach_as(other, "name", Some(Start::Latest(true)));
    assert_eq!((response.start_key, response.epoch), (5, 2));
    assert!(fixture.events().iter().any(|event| matches!(
        event,
        Event::ListenerTakenOver { session, epoch: 1, listener, .. }
            if *session == SESSION && &**listener == "name"
    )));
    // The former one's word counts no more.
    fixture.acknowledge("name", 1, 9);
    detach(&mut fixture, "name", 1);
    assert_eq!(fixture.attach_as(other, "name", None).start_key, 5);
    fixture.acknowledge("name", 3, 6);
    fixture.restart();
    let response = fixture.attach("name", None);
    assert_eq!((response.start_key, response.epoch), (7, 4));
    // A client that resumes has received more than it has acknowledged.
    assert_eq!(fixture.attach("name", Some(Start::ResumeAfter(8))).start_key, 9);
    assert_eq!(fixture.attach("name", Some(Start::ResumeAfter(2))).start_key, 7);
}

#[test]
fn unnamed_listeners_go_with_their_session() {
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions::default());
    fixture.write(run(1, 10, 1)).unwrap();
    fixture.attach("#1", Some(Start::Beginning(true)));
    fixture.attach_as(SessionId(99), "#2", Some(Start::Beginning(true)));
    fixture.attach("name", Some(Start::Beginning(true)));
    assert_eq!(names(&fixture), 3);
    // The session on record comes back, the other, of which there is no record, does not.
    fixture.restart();
    assert_eq!(names(&fixture), 2);
    assert_eq!(fixture.attach("#1", Some(Start::ResumeAfter(3))).start_key, 4);
    fixture.engine().close_session(SESSION);
    fixture.apply(Vec::new());
    let left = fixture.engine().scan_listeners(Some("s"), ("", ""), 99);
    assert_eq!(
        left.iter().map(|listener| (&*listener.name, listener.attached)).collect::<Vec<_>>(),
        [("name", false)]
    );
}

#[test]
fn an_unnamed_listener_finds_its_items_after_a_restart() {
    let mut fixture = Fixture::new();
    fixture.create(StreamOptions::default());
    for first in [1, 11, 21] {
        fixture.write(run(first, 10, 1)).unwrap();
    }
    fixture.attach("#1", None);
    fixture.acknowledge("#1", 1, 15);
    fixture.restart();
    let response = fixture.attach("#1", Some(Start::ResumeAfter(17)));
    assert_eq!((response.start_key, response.items_removed), (18, false));
    assert_eq!(fixture.keys(18), (18..=30).collect::<Vec<_>>());
}

#[test]
fn a_named_listener_can_be_removed() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    fixture.attach("name", None);
    fixture.events();
    let remove = |name: &str| {
        let (stream, name) = ("s".to_owned(), name.to_owned());
        StreamRequest::RemoveListener(v1::RemoveListenerRequest { stream, name, identity: None })
    };
    fixture.send(remove("name")).unwrap();
    assert!(fixture.events().iter().any(|event| matches!(event, Event::ListenerRemoved { epoch: 1, .. })));
    assert_eq!(fixture.send(remove("name")).unwrap_err().reason, "NOT_FOUND");
    fixture.restart();
    assert_eq!(names(&fixture), 0);
}

#[test]
fn a_named_listener_has_an_owner() {
    let mut fixture = Fixture::new();
    fixture.create(persistent());
    let request = v1::AttachListenerRequest {
        stream: "s".to_owned(),
        name: "name".to_owned(),
        owner: Some(v1::Owner { instance: "i".to_owned() }),
        ..Default::default()
    };
    let attach = crate::engine::AttachListener { session: SESSION, listener: "name".to_owned(), request };
    fixture.send(StreamRequest::AttachListener(attach)).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.engine().owned_by("i"), [Owned::Listener("s".into(), "name".into())]);
        fixture.restart();
    }
}
