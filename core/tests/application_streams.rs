//! Streams between agents, against a server in process.

mod application_support;

use application_support::Server;
use perper::{
    Agent, Error, ErrorKind, GeneratorOptions, Result, Resume, Stream, keyed, protocol::StreamOptions,
};
use tokio_stream::StreamExt as _;

async fn numbers(from: i64, to: i64) -> impl tokio_stream::Stream<Item = i64> {
    tokio_stream::iter(from..to)
}

/// As plain a generator as can be, by hand: items come from an asynchronous function.
async fn squares(of: Stream) -> impl tokio_stream::Stream<Item = Result<i64>> {
    of.items::<i64>().map(|number| number.map(|number| number * number))
}

fn service() -> perper::AgentBuilder {
    Agent::builder("Service")
        .stream("Numbers", numbers)
        .stream("Squares", squares)
        .delegate("Keyed", async |keys: Vec<i64>| {
            tokio_stream::iter(keys).map(|key| (key, format!("item {key}")))
        })
        .delegate("KeyedToo", async |keys: Vec<i64>| {
            tokio_stream::iter(keys).map(|key| keyed(key, [key, key]))
        })
        .delegate("Pairs", async |n: i64| tokio_stream::iter(0..n).map(|number| [number, number]))
        .delegate("Broken", async || tokio_stream::iter([Ok(1), Err("out of numbers".to_owned()), Ok(3)]))
}

#[tokio::test]
async fn a_generator_fills_a_stream_to_its_end() -> Result<()> {
    let server = Server::start().await;
    let agent = service().start_with(server.settings()).await?;
    let context = agent.context().clone();
    context
        .scope(async {
            let stream = perper::stream("Numbers").start((0, 1000)).await?;
            let items: Vec<i64> = stream.items().collect::<Result<_>>().await?;
            assert_eq!(items, (0..1000).collect::<Vec<_>>());
            // A stream that is read while it is made from another one.
            let numbers = perper::stream("Numbers").start((0, 100)).await?;
            let squares = perper::stream("Squares").start_now(&numbers)?;
            let items: Vec<i64> = squares.items().collect::<Result<_>>().await?;
            assert_eq!(items, (0..100).map(|n| n * n).collect::<Vec<_>>());
            Ok::<_, Error>(())
        })
        .await?;
    agent.shutdown().await
}

#[tokio::test]
async fn a_pair_with_an_integer_gives_the_key() -> Result<()> {
    let server = Server::start().await;
    let agent = service().start_with(server.settings()).await?;
    agent
        .context()
        .scope(async {
            let stream = perper::stream("Keyed").start((vec![3, 7, 20],)).await?;
            let entries: Vec<(i64, String)> = stream.entries().collect::<Result<_>>().await?;
            let expected = [3, 7, 20].map(|key| (key, format!("item {key}")));
            assert_eq!(entries, expected);
            // Packed: in any order, delivered in order.
            let stream = perper::stream("KeyedToo").packed(10).start((vec![20, 0, 10],)).await?;
            let entries: Vec<(i64, [i64; 2])> = stream.entries().collect::<Result<_>>().await?;
            assert_eq!(entries, [0, 10, 20].map(|key| (key, [key, key])));
            // An array of two integers is no key and value.
            let stream = perper::stream("Pairs").packed(1).start(2).await?;
            let entries: Vec<(i64, [i64; 2])> = stream.entries().collect::<Result<_>>().await?;
            assert_eq!(entries, [(0, [0, 0]), (1, [1, 1])]);
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn an_error_ends_the_stream_after_the_items_before_it() -> Result<()> {
    let server = Server::start().await;
    let agent = service().start_with(server.settings()).await?;
    agent
        .context()
        .scope(async {
            let stream = perper::stream("Broken").start(()).await?;
            let mut items = stream.items::<i64>();
            assert_eq!(items.try_next().await?, Some(1));
            let error = items.try_next().await.expect_err("the generator failed");
            assert!(error.message().contains("out of numbers"), "{error:?}");
            assert_eq!(items.try_next().await?, None);
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn a_plain_call_of_a_generator_gives_a_stream() -> Result<()> {
    let server = Server::start().await;
    let options = GeneratorOptions {
        stream: StreamOptions { persistent: true, stride: 2, ..StreamOptions::default() },
        resume: Resume::Skip,
    };
    let agent = Agent::builder("Service")
        .stream_with("Numbers", options, numbers)
        .start_with(server.settings())
        .await?;
    agent
        .context()
        .scope(async {
            let stream: Stream = perper::call("Numbers", (5, 8)).await?;
            assert_eq!(stream.stride, 2);
            let entries: Vec<(i64, i64)> = stream.entries().collect::<Result<_>>().await?;
            assert_eq!(entries, [(0, 5), (2, 6), (4, 7)]);
            assert!(stream.info().await?.options.persistent);
            let again: Vec<i64> = stream.replay_all().items().collect::<Result<_>>().await?;
            assert_eq!(again, [5, 6, 7]);
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn streams_may_go_in_a_circle_between_two_agents() -> Result<()> {
    let server = Server::start().await;
    // Each adds one to what it hears, until it is enough.
    async fn bounce(other: Stream, begin: bool) -> impl tokio_stream::Stream<Item = Result<i64>> {
        let heard = other.replay_all().items::<i64>();
        let first = tokio_stream::iter(begin.then_some(Ok(0)));
        first
            .chain(heard.map(|number| number.map(|number| number + 1)))
            .take_while(|number| number.as_ref().is_ok_and(|number| *number < 100))
    }
    let ping = Agent::builder("Ping").stream("Bounce", bounce).start_with(server.settings()).await?;
    let pong = Agent::builder("Pong").stream("Bounce", bounce).start_with(server.settings()).await?;
    let declared = ping.context().stream("Bounce").persistent().declare().await?;
    let back = pong.context().stream("Bounce").persistent().start((declared.stream(), false)).await?;
    let there = declared.start((&back, true)).await?;
    let heard: Vec<i64> =
        ping.context().sync_scope(|| there.replay_all().items()).collect::<Result<_>>().await?;
    assert_eq!(heard, (0..100).step_by(2).collect::<Vec<_>>());
    ping.shutdown().await?;
    pong.shutdown().await
}

#[tokio::test]
async fn anybody_writes_to_a_blank_stream() -> Result<()> {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .scope(async {
            let stream = perper::blank_stream().persistent().create_now()?;
            let mut latest = stream.items::<String>();
            latest.attached().await?;
            stream.write("one").await?;
            let writer = stream.writer()?;
            writer.write("two").await?;
            writer.flush().await?;
            assert_eq!(latest.try_next().await?.as_deref(), Some("one"));
            assert_eq!(latest.try_next().await?.as_deref(), Some("two"));
            stream.complete().await?;
            assert_eq!(latest.try_next().await?, None);
            let error = stream.write("three").await.expect_err("it is over");
            assert_eq!(error.kind(), ErrorKind::StreamCompleted);
            stream.destroy().await
        })
        .await
}

#[tokio::test]
async fn a_named_listener_goes_on_where_it_was() -> Result<()> {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .scope(async {
            let stream = perper::blank_stream().persistent().packed(1).create().await?;
            for number in 0..5 {
                stream.write_keyed(number, &number).await?;
            }
            let mut items = stream.clone().replay_all().listen().named("reader").items::<i64>();
            for number in 0..5 {
                assert_eq!(items.try_next().await?, Some(number));
            }
            drop(items);
            // Asking for the next one has said that 3 is processed; nobody has asked past 4.
            let mut items = stream.listen().named("reader").items::<i64>();
            assert_eq!(items.try_next().await?, Some(4));
            drop(items);
            stream.remove_listener("reader").await
        })
        .await
}
