//! Calls between an agent and its callers, against a server in process.

mod application_support;

use application_support::Server;
use perper::{Agent, Context, Error, ErrorKind, Failure, Rest, Result};

async fn greet(name: String) -> String {
    format!("Hello, {name}!")
}

async fn divide(a: i64, b: i64) -> Result<(i64, i64), String> {
    if b == 0 {
        return Err(format!("{a} cannot be divided by 0"));
    }
    Ok((a / b, a % b))
}

fn service() -> perper::AgentBuilder {
    Agent::builder("Service")
        .delegate("Greet", greet)
        .delegate("Divide", divide)
        .delegate("Nothing", async || {})
        .delegate("Find", async |key: i64| (key > 0).then_some(key))
        .delegate("Sum", async |first: i64, Rest(others): Rest<i64>| first + others.iter().sum::<i64>())
        .delegate("Join", async |a: String, b: Option<String>| {
            b.map_or_else(|| a.clone(), |b| format!("{a}+{b}"))
        })
}

#[tokio::test]
async fn results_are_none_one_or_several() -> Result<()> {
    let server = Server::start().await;
    let agent = service().start_with(server.settings()).await?;
    let client = server.client().await;
    let service = Agent::new("Service", "any");
    assert_eq!(client.call_agent::<String>(&service, "Greet", "World").await?, "Hello, World!");
    assert_eq!(client.call_agent::<(i64, i64)>(&service, "Divide", (7, 2)).await?, (3, 1));
    client.call_agent::<()>(&service, "Nothing", ()).await?;
    assert_eq!(client.call_agent::<Option<i64>>(&service, "Find", 5).await?, Some(5));
    assert_eq!(client.call_agent::<Option<i64>>(&service, "Find", -5).await?, None);
    agent.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn arguments_may_be_missing_or_surplus() -> Result<()> {
    let server = Server::start().await;
    let _agent = service().start_with(server.settings()).await?;
    let client = server.client().await;
    let service = Agent::new("Service", "any");
    assert_eq!(client.call_agent::<i64>(&service, "Sum", (1, 2, 3, 4)).await?, 10);
    assert_eq!(client.call_agent::<i64>(&service, "Sum", 1).await?, 1);
    assert_eq!(client.call_agent::<String>(&service, "Join", "a").await?, "a");
    assert_eq!(client.call_agent::<String>(&service, "Join", ("a", "b", "c")).await?, "a+b");
    let missing = client.call_agent::<(i64, i64)>(&service, "Divide", 7).await.expect_err("one is missing");
    assert_eq!(missing.kind(), ErrorKind::ExecutionFailed);
    assert!(missing.message().contains("arguments[1]"), "{missing}");
    let wrong = client.call_agent::<i64>(&service, "Sum", (1, "two")).await.expect_err("no number");
    assert!(wrong.message().contains("arguments[1]"), "{wrong}");
    Ok(())
}

#[derive(Debug)]
struct OutOfStock(&'static str);

impl std::fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no {} left", self.0)
    }
}

impl std::error::Error for OutOfStock {}

async fn buy() -> Result<i64, OutOfStock> {
    Err(OutOfStock("apples"))
}

async fn anyhow_error() -> anyhow::Result<i64> {
    anyhow::bail!("broken {}", 1)
}

async fn forward() -> Result<i64> {
    perper::call("Buy", ()).await
}

async fn forward_anyhow() -> anyhow::Result<i64> {
    Ok(perper::call("Buy", ()).await?)
}

#[tokio::test]
async fn errors_keep_their_type_and_message() -> Result<()> {
    let server = Server::start().await;
    let _agent = service()
        .delegate("Buy", buy)
        .delegate("Anyhow", anyhow_error)
        .delegate("Forward", forward)
        .delegate("ForwardAnyhow", forward_anyhow)
        .delegate("Panic", async || -> i64 { panic!("at the disco") })
        .start_with(server.settings())
        .await?;
    let client = server.client().await;
    let service = Agent::new("Service", "any");
    let cases = [
        ("Buy", "OutOfStock", "no apples left"),
        ("Anyhow", "Error", "broken 1"),
        ("Forward", "OutOfStock", "no apples left"),
        ("ForwardAnyhow", "OutOfStock", "no apples left"),
        ("Panic", "panic", "at the disco"),
    ];
    for (delegate, type_name, message) in cases {
        let error = client.call_agent::<i64>(&service, delegate, ()).await.expect_err(delegate);
        assert_eq!(error.kind(), ErrorKind::ExecutionFailed, "{error}");
        let failure = error.failure().expect("what was raised");
        assert_eq!((&*failure.type_name, &*failure.message), (type_name, message), "{delegate}");
    }
    let error = client.call_agent::<(i64, i64)>(&service, "Divide", (1, 0)).await.expect_err("by zero");
    let failure = Failure {
        type_name: "Error".into(),
        message: "1 cannot be divided by 0".into(),
        ..Failure::default()
    };
    assert_eq!(error.failure(), Some(&failure));
    Ok(())
}

#[tokio::test]
async fn nested_calls_go_to_the_own_instance_and_carry_the_trace() -> Result<()> {
    let server = Server::start().await;
    let who = async || -> Result<(String, Option<String>)> {
        let context = perper::context()?;
        Ok((context.instance().to_owned(), context.traceparent()))
    };
    let ask = async || -> Result<(String, String, String)> {
        let own = perper::context()?.traceparent().unwrap_or_default();
        let (instance, inner): (String, String) = perper::spawn(perper::call("Who", ()))
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))??;
        Ok((instance, own, inner))
    };
    let _agent = Agent::builder("Service")
        .delegate("Who", who)
        .delegate("Ask", ask)
        .start_with(server.settings())
        .await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client: Context = server.client().await.with_trace(trace, None)?;
    let service = Agent::new("Service", "seven");
    let (instance, outer, inner) = client.call_agent::<(String, String, String)>(&service, "Ask", ()).await?;
    assert_eq!(instance, "seven");
    assert_eq!((&outer[..35], &inner[..35]), (&trace[..35], &trace[..35]));
    assert_ne!(outer, inner);
    assert_ne!(outer, trace);
    Ok(())
}

#[tokio::test]
async fn an_instance_starts_and_stops_even_if_nobody_wrote_that() -> Result<()> {
    let server = Server::start().await;
    let _agent = service().start_with(server.settings()).await?;
    let client = server.client().await;
    let (service, ()) = client.start_agent("Service", "ignored").await?;
    assert_eq!(client.call_agent::<String>(&service, "Greet", "you").await?, "Hello, you!");
    assert!(client.stop_agent(&service).await?);
    assert!(!client.stop_agent(&service).await?);
    Ok(())
}
