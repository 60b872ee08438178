//! The back-end and an engine that does not do as it should. What one does that does, is tested with a real one.

use std::convert::Infallible;
use std::io::Write as _;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::names;

/// Much longer than a test: who waits for it waits for something else that does not come.
const LONG: Duration = Duration::from_secs(3600);

/// A back-end of the project `shop`, and an engine that answers so. Where it says nothing, it never answers.
async fn backend(
    answer: impl Fn(&str) -> Option<(u16, Value)> + Clone + Send + Sync + 'static,
) -> (Compose, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, heard) = (answer.clone(), Arc::clone(&heard));
            let service = service_fn(move |request: Request<Incoming>| {
                // Without the version that every path but one begins with.
                let path = request.uri().path().trim_start_matches("/v1.44");
                let what = format!("{} {path}", request.method());
                let answer = match path {
                    "/version" => Some((200, json!({"ApiVersion": "1.44"}))),
                    _ => answer(&what),
                };
                let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
                heard.lock().unwrap().push(what + &query);
                async move {
                    let Some((status, body)) = answer else { return std::future::pending().await };
                    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
                    *response.status_mut() = status.try_into().unwrap();
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(br#"{"name": "shop", "services": {"A": {"image": "a"}}}"#).unwrap();
    let settings = Settings {
        source: Source::Resolved(file.path().to_owned()),
        project: None,
        engine: Some(address),
        fabric: Vec::new(),
    };
    (Compose::start_with(settings, LONG).unwrap(), asked)
}

/// The first request of this kind, once there is one.
async fn asked_for(asked: &Mutex<Vec<String>>, what: &str) -> String {
    let find = async {
        loop {
            let found = asked.lock().unwrap().iter().find(|request| request.starts_with(what)).cloned();
            if let Some(found) = found {
                break found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG / 60, find).await.expect("it is asked for")
}

fn unit(instance: &str) -> Unit {
    Unit::Instance {
        agent: "A".to_owned(),
        instance: instance.to_owned(),
        incarnation: 1,
        cluster: "c".to_owned(),
    }
}

/// The container of a unit in a listing. Its id is that of the instance.
fn entry(instance: &str, state: &str) -> Value {
    let name = format!("/shop-{}", names::name(&unit(instance)));
    json!({"Id": instance, "State": state, "Names": [name], "Labels": {
        "perper.dev/agent": "A", "perper.dev/instance": instance, "perper.dev/incarnation": "1",
        "perper.dev/cluster": "c",
    }})
}

#[tokio::test]
async fn a_container_that_cannot_be_looked_at_is_left_alone_and_holds_up_nobody() {
    let (backend, _) = backend(|what| match what {
        "GET /containers/json" => {
            Some((200, json!([entry("a", "exited"), entry("b", "exited"), entry("c", "exited")])))
        }
        "GET /containers/a/json" => Some((500, json!({"message": "its layers are gone"}))),
        "GET /containers/b/json" => Some((200, json!({"State": {"ExitCode": 0}}))),
        "GET /containers/c/json" => Some((404, json!({"message": "No such container: c"}))),
        _ => None,
    })
    .await;
    let ended = UnitState::Ended { success: true, ran_for: Duration::ZERO };
    let expected = [(unit("a"), UnitState::Stopping), (unit("b"), ended)];
    assert_eq!(backend.list().await.unwrap(), expected.into());
}

#[tokio::test]
async fn health_checks_of_containers_are_no_reason_to_compare() {
    let (backend, asked) = backend(|_| None).await;
    let followed = asked_for(&asked, "GET /events").await;
    assert!(followed.contains(&encode(r#""event":["create","destroy","die","start"]"#)), "{followed}");
    drop(backend);
}

#[tokio::test]
async fn what_is_no_listing_is_not_taken_for_an_empty_one() {
    let (backend, _) = backend(|what| (what == "GET /containers/json").then_some((200, json!({})))).await;
    let error = backend.list().await.expect_err("no list").to_string();
    assert!(error.contains("the answer is no list"), "{error}");
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_told_of() {
    let (backend, _) = backend(|what| match what {
        "GET /containers/json" => Some((200, json!([]))),
        "POST /containers/create" => Some((409, json!({"message": "the name is in use"}))),
        _ => None,
    })
    .await;
    assert_eq!(backend.list().await.unwrap(), Actual::new());
    let error = backend.start(&unit("a")).await.expect_err("the name is in use").to_string();
    assert!(error.contains("the name is in use"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_stopped_is_left_alone_for_a_while_and_the_end_waits_for_no_more() {
    let (backend, asked) = backend(|what| match what {
        "GET /containers/json" => Some((200, json!([entry("a", "running")]))),
        "GET /containers/a/json" => Some((200, json!({"State": {"Running": true}}))),
        "POST /containers/a/stop" => Some((500, json!({"message": "permission denied"}))),
        _ => None,
    })
    .await;
    assert_eq!(backend.list().await.unwrap(), [(unit("a"), UnitState::Running)].into());
    backend.stop(&unit("a")).await.unwrap();
    let stops = || asked.lock().unwrap().iter().filter(|what| what.ends_with("/stop")).count();
    asked_for(&asked, "POST /containers/a/stop").await;
    // As often as the Scaler compares when there is always something to do.
    for _ in 0..50 {
        assert_eq!(backend.list().await.unwrap(), [(unit("a"), UnitState::Stopping)].into());
        backend.stop(&unit("a")).await.unwrap();
    }
    assert_eq!(stops(), 1);
    tokio::time::timeout(LONG / 60, backend.shutdown()).await.expect("it does not wait to try again");
}
