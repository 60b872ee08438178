//! What happens around calls: deadlines, cancellation, the life of instances, stopping, and workers that die.

mod application_support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use application_support::{Doomed, Server};
use perper::{Agent, ErrorKind, GeneratorOptions, Result, Resume};
use tokio::sync::{Notify, mpsc};

/// Long enough never to pass in a test that works.
const LONG: Duration = Duration::from_secs(60);

fn client_agent() -> Agent {
    Agent::new("Service", "one")
}

/// Says when it is dropped.
struct Guard(mpsc::UnboundedSender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody may be listening any more.
        _ = self.0.send("dropped");
    }
}

#[tokio::test]
async fn a_deadline_crosses_every_hop() -> Result<()> {
    let server = Server::start().await;
    let inner = async || -> Result<u64> {
        let remaining = perper::context()?.remaining();
        Ok(remaining.map_or(0, |remaining| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)))
    };
    let outer = async || -> Result<(u64, u64)> {
        let own = perper::context()?.remaining().unwrap_or_default();
        let inner: u64 = perper::call("Inner", ()).await?;
        Ok((u64::try_from(own.as_millis()).unwrap_or(u64::MAX), inner))
    };
    let _agent = Agent::builder("Service")
        .delegate("Inner", inner)
        .delegate("Outer", outer)
        .delegate("Never", async || std::future::pending::<()>().await)
        .delegate("AskNever", async || perper::call::<()>("Never", ()).await)
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    assert_eq!(client.call_agent::<u64>(&client_agent(), "Inner", ()).await?, 0, "no deadline");
    let (outer, inner) =
        client.with_timeout(LONG).call_agent::<(u64, u64)>(&client_agent(), "Outer", ()).await?;
    assert!(0 < inner && inner <= outer && outer <= 60_000, "{inner} {outer}");

    // Ended by the Fabric, two hops down, and told all the way up.
    let short = client.with_timeout(Duration::from_millis(100));
    let error = short.call_agent::<()>(&client_agent(), "AskNever", ()).await.expect_err("it never answers");
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    // Ended here.
    let error = client
        .scope(perper::with_timeout(
            Duration::from_millis(100),
            perper::call_agent::<()>(&client_agent(), "AskNever", ()),
        ))
        .await
        .expect_err("it never answers");
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    Ok(())
}

#[tokio::test]
async fn a_caller_that_goes_takes_the_whole_tree_with_it() -> Result<()> {
    let server = Server::start().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let leaf = move || {
        let events = events.clone();
        async move {
            let _guard = Guard(events.clone());
            _ = events.send("running");
            std::future::pending::<()>().await;
        }
    };
    let _agent = Agent::builder("Service")
        .delegate("Leaf", leaf)
        .delegate("Branch", async || perper::call::<()>("Leaf", ()).await)
        .delegate("Root", async || perper::call::<()>("Branch", ()).await)
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    let call = tokio::spawn(async move { client.call_agent::<()>(&client_agent(), "Root", ()).await });
    assert_eq!(told.recv().await, Some("running"));
    call.abort();
    assert_eq!(told.recv().await, Some("dropped"));
    Ok(())
}

#[tokio::test]
async fn a_cancelled_callee_is_an_error_of_its_own_kind() -> Result<()> {
    let server = Server::start().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let who = move || {
        let events = events.clone();
        async move {
            let execution = perper::context()?.execution().map(|execution| execution.execution);
            _ = events.send(execution.unwrap_or_default());
            std::future::pending::<Result<()>>().await
        }
    };
    let _agent = Agent::builder("Service").delegate("Who", who).start_with(server.settings()).await?;
    let client = server.client().await;
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.call_agent::<()>(&client_agent(), "Who", ()).await });
    let execution = told.recv().await.expect("it runs");
    client.fabric().cancel_execution(execution).await?;
    let error = call.await.expect("no panic").expect_err("it was cancelled");
    assert_eq!(error.kind(), ErrorKind::ExecutionCancelled);
    Ok(())
}

#[tokio::test]
async fn an_instance_enters_before_it_is_called() -> Result<()> {
    let server = Server::start().await;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let step = |name: &'static str| {
        let steps = steps.clone();
        move || {
            let steps = steps.clone();
            async move {
                let instance = perper::context()?.instance().to_owned();
                let mut steps = steps.lock().expect("no panic");
                steps.push((name, instance));
                Ok::<_, perper::Error>(steps.len())
            }
        }
    };
    let deployed = Arc::new(Notify::new());
    let told = deployed.clone();
    let agent = Agent::builder("Service")
        .on_deploy(move || {
            let told = told.clone();
            async move {
                // Its own calls are answered, beside it.
                let count = perper::call::<usize>("Step", ()).await;
                told.notify_one();
                count
            }
        })
        .on_upgrade(step("upgrade"))
        .on_enter(step("enter"))
        .on_start(step("start"))
        .on_stop(step("stop"))
        .delegate("Step", step("step"))
        .start_with(server.settings())
        .await?;
    deployed.notified().await;
    let client = server.client().await;
    let (one, count) = client.start_agent::<usize>("Service", ()).await?;
    assert_eq!(count, 4);
    client.call_agent::<usize>(&one, "Step", ()).await?;
    assert!(client.stop_agent(&one).await?);
    agent.shutdown().await?;
    let expected = [("step", "Service-deploy")].into_iter().chain(
        ["upgrade", "enter", "start", "step", "stop"].into_iter().map(|step| (step, one.instance.as_str())),
    );
    let expected: Vec<_> = expected.map(|(step, instance)| (step, instance.to_owned())).collect();
    assert_eq!(*steps.lock().expect("no panic"), expected);
    Ok(())
}

#[tokio::test]
async fn calls_fail_with_what_kept_the_instance_from_entering() -> Result<()> {
    let server = Server::start().await;
    let tries = Arc::new(Mutex::new(0));
    let enter = move || {
        let tries = tries.clone();
        async move {
            let mut tries = tries.lock().expect("no panic");
            *tries += 1;
            if *tries == 1 { Err("not yet".to_owned()) } else { Ok(()) }
        }
    };
    let _agent = Agent::builder("Service")
        .on_enter(enter)
        .delegate("Ask", async || 1)
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    let error = client.call_agent::<i64>(&client_agent(), "Ask", ()).await.expect_err("it cannot enter");
    assert!(error.message().contains("not yet"), "{error}");
    assert_eq!(client.call_agent::<i64>(&client_agent(), "Ask", ()).await?, 1);
    Ok(())
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_leaves_the_rest_to_others() -> Result<()> {
    let server = Server::start().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let opened = gate.clone();
    let work = move || {
        let (events, gate) = (events.clone(), gate.clone());
        async move {
            _ = events.send("running");
            gate.notified().await;
            "first"
        }
    };
    let first = Agent::builder("Service").delegate("Work", work).start_with(server.settings()).await?;
    let client = server.client().await;
    let in_flight = client.clone();
    let in_flight =
        tokio::spawn(async move { in_flight.call_agent::<String>(&client_agent(), "Work", ()).await });
    assert_eq!(told.recv().await, Some("running"));
    let stopping = tokio::spawn(first.shutdown());
    let second =
        Agent::builder("Service").delegate("Work", async || "second").start_with(server.settings()).await?;
    // The first one takes no more; this one may have been on its way to it, and is given back then.
    assert_eq!(client.call_agent::<String>(&client_agent(), "Work", ()).await?, "second");
    opened.notify_one();
    assert_eq!(in_flight.await.expect("no panic")?, "first");
    stopping.await.expect("no panic")?;
    second.shutdown().await
}

#[tokio::test]
async fn what_outlasts_the_grace_is_given_back() -> Result<()> {
    let server = Server::start().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let work = move || {
        let events = events.clone();
        async move {
            let _guard = Guard(events.clone());
            _ = events.send("running");
            std::future::pending::<String>().await
        }
    };
    let first = Agent::builder("Service")
        .delegate("Work", work)
        .grace(Duration::from_millis(10))
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    let call = tokio::spawn(async move { client.call_agent::<String>(&client_agent(), "Work", ()).await });
    assert_eq!(told.recv().await, Some("running"));
    first.shutdown().await?;
    assert_eq!(told.recv().await, Some("dropped"));
    let _second = Agent::builder("Service")
        .delegate("Work", async || Ok::<_, perper::Error>(format!("{:?}", perper::context()?.attempt())))
        .start_with(server.settings())
        .await?;
    assert_eq!(call.await.expect("no panic")?, "Some(1)", "the attempt did not count");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_had_goes_to_another() -> Result<()> {
    let server = Server::start_impatient().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let settings = server.settings();
    let doomed = Doomed::start(async move {
        let work = move || {
            let events = events.clone();
            async move {
                _ = events.send("running");
                std::future::pending::<u32>().await
            }
        };
        Agent::builder("Service").delegate("Work", work).start_with(settings).await
    });
    let client = server.client().await;
    let call = tokio::spawn(async move { client.call_agent::<u32>(&client_agent(), "Work", ()).await });
    assert_eq!(told.recv().await, Some("running"));
    doomed.kill();
    let _second = Agent::builder("Service")
        .delegate("Work", async || Ok::<_, perper::Error>(perper::context()?.attempt()))
        .start_with(server.settings())
        .await?;
    assert_eq!(call.await.expect("no panic")?, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_is_taken_up_where_a_dead_worker_left_it() -> Result<()> {
    let server = Server::start_impatient().await;
    let options = || GeneratorOptions { resume: Resume::Skip, ..GeneratorOptions::default() };
    let settings = server.settings();
    let doomed = Doomed::start(async move {
        // Two items, and then it hangs.
        let numbers = async || {
            use tokio_stream::StreamExt as _;
            tokio_stream::iter(0..2).chain(tokio_stream::pending::<i64>())
        };
        Agent::builder("Service").stream_with("Numbers", options(), numbers).start_with(settings).await
    });
    let client = server.client().await.with_instance(&client_agent());
    let stream = client.stream("Numbers").persistent().start(()).await?;
    let mut items = client.sync_scope(|| stream.replay_all().items::<i64>());
    assert_eq!((items.try_next().await?, items.try_next().await?), (Some(0), Some(1)));
    doomed.kill();
    let _second = Agent::builder("Service")
        .stream_with("Numbers", options(), async || tokio_stream::iter(0..5))
        .start_with(server.settings())
        .await?;
    let mut rest = Vec::new();
    while let Some(number) = items.try_next().await? {
        rest.push(number);
    }
    assert_eq!(rest, [2, 3, 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_that_cannot_be_taken_up_fails() -> Result<()> {
    let server = Server::start_impatient().await;
    let options = || GeneratorOptions { resume: Resume::Skip, ..GeneratorOptions::default() };
    let settings = server.settings();
    let doomed = Doomed::start(async move {
        let numbers = async || {
            use tokio_stream::StreamExt as _;
            tokio_stream::iter(0..2).chain(tokio_stream::pending::<i64>())
        };
        Agent::builder("Service").stream_with("Numbers", options(), numbers).start_with(settings).await
    });
    let client = server.client().await.with_instance(&client_agent());
    let stream = client.stream("Numbers").persistent().start(()).await?;
    let mut items = client.sync_scope(|| stream.replay_all().items::<i64>());
    assert_eq!((items.try_next().await?, items.try_next().await?), (Some(0), Some(1)));
    doomed.kill();
    // In place of an item that would have been skipped.
    let lost = async || tokio_stream::iter([Err::<i64, _>(std::io::Error::other("the source is gone"))]);
    let _second = Agent::builder("Service")
        .stream_with("Numbers", options(), lost)
        .start_with(server.settings())
        .await?;
    let error = items.try_next().await.unwrap_err();
    assert!(error.to_string().contains("the source is gone"), "{error}");
    Ok(())
}

#[tokio::test]
async fn nested_calls_do_not_starve_for_a_place() -> Result<()> {
    let server = Server::start().await;
    let factorial = async |n: u64| -> Result<u64> {
        if n == 0 { Ok(1) } else { Ok(n * perper::call::<u64>("Factorial", n - 1).await?) }
    };
    let _agent = Agent::builder("Service")
        .concurrency(1)
        .delegate("Factorial", factorial)
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    assert_eq!(client.call_agent::<u64>(&client_agent(), "Factorial", 10).await?, 3_628_800);
    assert_eq!(client.call_agent::<u64>(&client_agent(), "Factorial", 5).await?, 120);
    Ok(())
}

#[tokio::test]
async fn an_instance_enters_a_new_process_although_nobody_calls_it() -> Result<()> {
    let server = Server::start().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let builder = || {
        let events = events.clone();
        Agent::builder("Service").on_enter(move || {
            let events = events.clone();
            async move {
                _ = events.send(perper::context()?.instance().to_owned());
                Ok::<_, perper::Error>(())
            }
        })
    };
    let first = builder().start_with(server.settings()).await?;
    let client = server.client().await;
    let (one, ()) = client.start_agent("Service", ()).await?;
    assert_eq!(told.recv().await.as_ref(), Some(&one.instance));
    first.shutdown().await?;
    let _second = builder().start_with(server.settings()).await?;
    assert_eq!(told.recv().await.as_ref(), Some(&one.instance));
    Ok(())
}
