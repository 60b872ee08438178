//! The election by itself, and candidates against an API server that keeps one Lease, in a time that only the test moves.

use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use kube::client::Body;
use rand::prelude::*;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;

const DURATION: Duration = Duration::from_secs(15);

fn lease(holder: &str, renewed: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
        ..LeaseSpec::default()
    }
}

#[test]
fn a_lease_is_taken_when_nobody_holds_it_or_its_holder_is_silent() {
    let mut election = Election { identity: "me".into(), seen: None };
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    for (lease, seconds, expected) in [
        (None, 0, Step::Create),
        // The first look says nothing of how old it is, whatever its time.
        (Some(lease("other", 100)), 1, Step::Wait),
        (Some(lease("other", 100)), 15, Step::Wait),
        // It lives.
        (Some(lease("other", 200)), 15, Step::Wait),
        (Some(lease("other", 200)), 29, Step::Wait),
        (Some(lease("other", 200)), 30, Step::Take),
        (Some(lease("me", 300)), 31, Step::Renew),
        (Some(lease("me", 300)), 99, Step::Renew),
        (Some(lease("other", 400)), 100, Step::Wait),
        (Some(lease("", 400)), 101, Step::Take),
    ] {
        assert_eq!(election.step(lease.as_ref(), DURATION, after(seconds)), expected, "{lease:?} {seconds}");
    }
}

#[test]
fn the_holders_own_duration_counts() {
    let mut election = Election { identity: "me".into(), seen: None };
    let start = Instant::now();
    let long = LeaseSpec { lease_duration_seconds: Some(60), ..lease("other", 1) };
    assert_eq!(election.step(Some(&long), DURATION, start), Step::Wait);
    assert_eq!(election.step(Some(&long), DURATION, start + Duration::from_secs(59)), Step::Wait);
    assert_eq!(election.step(Some(&long), DURATION, start + Duration::from_secs(60)), Step::Take);
}

/// How the API server treats a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Answers,
    /// Nothing happens, and nothing is said.
    Silent,
    /// It writes what it is asked to, and the answer to that gets lost.
    Mute,
    /// It does everything after a while, whether somebody still waits for it or not.
    Slow(Duration),
    /// An error, and nothing happens.
    Refuses,
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                        "message": "", "code": code, "reason": reason});
    (code, status)
}

/// An API server that keeps one Lease.
#[derive(Debug, Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
}

impl Server {
    fn answer(&mut self, method: &Method, body: Value) -> (u16, Value) {
        match (method, &self.lease) {
            (&Method::GET, None) => refusal(404, "NotFound"),
            (&Method::GET, Some(lease)) => (200, lease.clone()),
            (&Method::POST, Some(_)) => refusal(409, "AlreadyExists"),
            (&Method::PUT, Some(lease))
                if lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] =>
            {
                refusal(409, "Conflict")
            }
            _ => {
                self.version += 1;
                let mut lease = body;
                lease["metadata"]["resourceVersion"] = self.version.to_string().into();
                // By the clock of the machine, which stands still meanwhile, two times might be the same.
                let time = Timestamp::from_second(i64::try_from(self.version).unwrap()).unwrap();
                lease["spec"]["renewTime"] = json!(MicroTime(time));
                self.lease = Some(lease.clone());
                (200, lease)
            }
        }
    }
}

/// A candidate that stands.
struct Standing {
    reach: Arc<Mutex<Reach>>,
    leads: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Standing {
    fn start(server: &Arc<Mutex<Server>>, identity: &str) -> Self {
        let reach = Arc::new(Mutex::new(Reach::Answers));
        let (server, towards) = (Arc::clone(server), Arc::clone(&reach));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, reach) = (Arc::clone(&server), *towards.lock().unwrap());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (code, answer) = match reach {
                    Reach::Silent => std::future::pending().await,
                    Reach::Refuses => refusal(500, "InternalError"),
                    Reach::Answers => server.lock().unwrap().answer(&head.method, body),
                    Reach::Slow(time) => {
                        let done = tokio::spawn(async move {
                            tokio::time::sleep(time).await;
                            server.lock().unwrap().answer(&head.method, body)
                        });
                        done.await.expect("an answer")
                    }
                    Reach::Mute => {
                        let answer = server.lock().unwrap().answer(&head.method, body);
                        if head.method != Method::GET {
                            std::future::pending::<()>().await;
                        }
                        answer
                    }
                };
                let answer =
                    Response::builder().status(code).body(Full::new(Bytes::from(answer.to_string())));
                Ok::<_, kube::Error>(answer.expect("a response"))
            }
        });
        let mut candidate =
            Candidate::new(Client::new(service, "default"), "default", identity.into(), DURATION);
        let leads = candidate.leads();
        Standing { reach, leads, task: tokio::spawn(async move { candidate.stand().await }) }
    }

    fn set(&self, reach: Reach) {
        *self.reach.lock().unwrap() = reach;
    }

    fn leads(&self) -> bool {
        *self.leads.borrow() && !self.task.is_finished()
    }

    /// Waits until it leads, and says how long that took.
    async fn comes_to_lead(&mut self) -> Duration {
        let begin = Instant::now();
        self.leads.wait_for(|leads| *leads).await.expect("it stands");
        begin.elapsed()
    }

    /// As in a crash.
    async fn kill(&self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

/// The time between two looks at the Lease.
const PERIOD: Duration = Duration::from_secs(3);
/// Timers count in milliseconds, and never ring too early.
const ROUNDING: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn another_one_takes_over_when_the_lease_is_over() {
    let server = Arc::default();
    // Whenever the first one dies, between any two of its signs of life.
    for after in 0..50 {
        let mut first = Standing::start(&server, &format!("first {after}"));
        first.comes_to_lead().await;
        tokio::time::sleep(Duration::from_millis(61 * after)).await;
        let mut second = Standing::start(&server, &format!("second {after}"));
        tokio::time::sleep(Duration::from_millis(20_000 + 700 * after)).await;
        assert!(first.leads() && !second.leads());
        first.kill().await;
        let took = second.comes_to_lead().await;
        // Its last sign of life was given up to a period before it died, and heard up to a period after that.
        assert!(took >= DURATION - PERIOD, "{took:?}");
        assert!(took <= DURATION + PERIOD + ROUNDING, "{took:?}");
        second.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_say_that_it_lives_stops_before_another_begins() {
    for reach in [Reach::Silent, Reach::Mute, Reach::Refuses, Reach::Slow(2 * DURATION)] {
        let server = Arc::default();
        let mut first = Standing::start(&server, "first");
        first.comes_to_lead().await;
        let mut second = Standing::start(&server, "second");
        tokio::time::sleep(2 * DURATION).await;
        first.set(reach);
        let begin = Instant::now();
        first.leads.wait_for(|leads| !leads).await.expect("it stands");
        assert!(begin.elapsed() <= DURATION * 2 / 3, "{reach:?}: {:?}", begin.elapsed());
        assert!(!second.leads(), "{reach:?}");
        if reach == Reach::Mute {
            // What it asks for happens, so it still holds the Lease, and nobody acts.
            tokio::time::sleep(4 * DURATION).await;
            assert!(!second.leads() && !first.leads());
        } else {
            second.comes_to_lead().await;
        }
        // Back, it does not take the Lease from who holds it.
        first.set(Reach::Answers);
        tokio::time::sleep(4 * DURATION).await;
        assert_eq!(
            (first.leads(), second.leads()),
            (reach == Reach::Mute, reach != Reach::Mute),
            "{reach:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_three_that_die_and_are_cut_off_never_two_lead_at_once() {
    let seed =
        std::env::var("PERPER_SEED").ok().map_or_else(rand::random, |text| text.parse().expect("a number"));
    println!("PERPER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = Arc::default();
    let mut standing: Vec<_> = (0..3).map(|number| Standing::start(&server, &number.to_string())).collect();
    let mut led = 0;
    for number in 3..500 {
        let chosen = random.random_range(0..standing.len());
        match random.random_range(0..6) {
            0 => standing[chosen].set(Reach::Silent),
            1 => standing[chosen].set(Reach::Mute),
            2 => standing[chosen].set(Reach::Refuses),
            3 => standing[chosen].set(Reach::Slow(PERIOD.mul_f64(random.random_range(0.0..1.5)))),
            4 => standing[chosen].set(Reach::Answers),
            _ => {
                standing[chosen].kill().await;
                standing[chosen] = Standing::start(&server, &number.to_string());
            }
        }
        // Looked at in every tenth of a second: whoever leads, leads for longer.
        for _ in 0..random.random_range(1..200) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let leading = standing.iter().filter(|standing| standing.leads()).count();
            assert!(leading <= 1, "{leading} lead at once");
            led += leading;
        }
    }
    assert!(led > 0, "nobody ever led");
}
