use std::time::Duration;

use perper_proto::v1;

use super::client::{call, complete, value};
use super::servers::{SHORT, Servers, config, under_seeds_with};
use crate::config::Config;
use crate::engine::{ExecutionQuery, SessionId};

fn bytes(session: u128) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&SessionId(session).to_bytes())
}

async fn renew(servers: &Servers, session: u128) {
    let hello = Some(v1::HelloRequest { protocol_min: 1, protocol_max: 1, ..Default::default() });
    let request = v1::OpenSessionRequest { session: bytes(session), hello };
    servers.broker(0).open_session(request).await.expect("a session opens, or is renewed");
}

#[test]
fn a_session_lives_by_unary_calls_alone() {
    under_seeds_with(Config { session_lease: SHORT, ..config() }, 1, async |servers| {
        // Longer than the lease, which is much longer than the grace of a connection that broke.
        for _ in 0..10 {
            renew(&servers, 1).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(servers.broker(0).count_sessions(), 1);
        }
        servers
            .eventually("that the session's lease runs out", |servers| {
                servers.broker(0).count_sessions() == 0
            })
            .await;
    });
}

#[test]
fn a_result_that_was_told_to_a_unary_call_goes_after_a_while() {
    under_seeds_with(Config { result_retention: SHORT, ..config() }, 2, async |servers| {
        let mut worker = servers.client(1, 2).await;
        worker.listen(1).await;
        renew(&servers, 1).await;
        let identity = Some(v1::Identity { session: bytes(1), sequence: 1 });
        let request = v1::CreateExecutionRequest { identity, ..call("e", 7) };
        let broker = std::sync::Arc::clone(servers.broker(0));
        let answer = tokio::spawn(async move { broker.call_execution(request).await });
        let activation = worker.activation().await;
        worker.carry_out(complete(&activation)).await.unwrap();
        let end = answer.await.unwrap().unwrap().end.unwrap();
        assert_eq!(end.results, [value(7)]);
        // The session lives on, and nobody says that the result was received.
        servers
            .eventually("that the result is gone", |servers| {
                servers.engine().count_executions(&ExecutionQuery::default()) == 0
            })
            .await;
        assert_eq!(servers.broker(0).count_sessions(), 1);
    });
}
