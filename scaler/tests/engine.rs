//! The Scaler and a Docker Engine that it cannot reach for a while. `./dev docker` starts one and runs this.
#![cfg(feature = "compose")]

mod support;

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use self::support::docker::{Project, docker, image};
use self::support::{Scaler, World, eventually, start, stop};

/// What becomes of connections to the engine, those that are open included.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    /// All goes through.
    Whole,
    /// Answers break off after so many bytes.
    Cut(usize),
    /// Answers do not come, and nothing says so.
    Silent,
}

/// A way to the engine that a test can cut.
struct Way {
    line: watch::Sender<Line>,
    address: String,
}

impl Way {
    fn to_engine(folder: &Path) -> Self {
        let path = folder.join("way");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = std::env::var("DOCKER_HOST").expect("an engine: ./dev docker").replace("unix://", "");
        let (line, watched) = watch::channel(Line::Whole);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let engine = UnixStream::connect(&engine).await.unwrap();
                tokio::spawn(carry(client, engine, watched.clone()));
            }
        });
        Way { line, address: format!("unix://{}", path.display()) }
    }
}

/// Carries what both say, for as long as the line stays what it was when they began. One that is silent is so until it
/// is whole again.
async fn carry(client: UnixStream, engine: UnixStream, mut line: watch::Receiver<Line>) {
    let begin = *line.borrow_and_update();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_engine, mut to_engine) = engine.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_engine).await });
    let answering = async {
        let mut left = match begin {
            Line::Whole => usize::MAX,
            Line::Cut(bytes) => bytes,
            Line::Silent => return std::future::pending().await,
        };
        let mut bytes = vec![0; 64 << 10];
        while left > 0 {
            let end = left.min(bytes.len());
            match from_engine.read(&mut bytes[..end]).await {
                Ok(read) if read > 0 && to_client.write_all(&bytes[..read]).await.is_ok() => left -= read,
                _ => return,
            }
        }
    };
    tokio::select! {
        () = answering => {}
        _ = line.wait_for(|line| *line != begin) => {}
    }
    asking.abort();
}

async fn is_away_and_back(line: Line) {
    let world = World::new().await;
    let file = world.folder.path().join("docker-compose.yml");
    let image = image("scaler");
    let services = format!(
        "services: {{Sleeper: {{image: '{image}', command: [__keep], stdin_open: true, network_mode: none, scale: 0, \
         stop_grace_period: 0s}}}}"
    );
    std::fs::write(&file, services).unwrap();
    let project = Project::new(world.folder.path(), file.clone(), &[]);
    let way = Way::to_engine(world.folder.path());
    let agent = world.agent("Sleeper").await;
    let context = agent.context();
    for instance in ["a", "b"] {
        start(context, "Sleeper", instance).await;
    }
    let arguments = ["compose", "--file", file.to_str().unwrap(), "--project-name", &project.name];
    let flags = ["--docker-host", &way.address, "--backoff", "10ms", "--resync", "1s"];
    let scaler = Scaler::start(world.folder.path(), &world.endpoint(), &[&arguments[..], &flags].concat());
    let before = project.runs(&["a", "b"]).await;
    scaler.ready().await;

    way.line.send_replace(line);
    stop(context, "a").await;
    start(context, "Sleeper", "c").await;
    docker(&["kill", &before["b"]]);
    if line != Line::Silent {
        eventually("it says that it cannot compare", || async {
            match scaler.page("/readyz").await? {
                (503, said) if said.contains("could not be compared") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
    assert_eq!(project.running(), [("a".to_owned(), before["a"].clone())].into(), "nothing was done half");

    way.line.send_replace(Line::Whole);
    let after = project.runs(&["b", "c"]).await;
    assert_ne!(after["b"], before["b"]);
    scaler.ready().await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn an_engine_that_is_away_is_caught_up_with() {
    is_away_and_back(Line::Cut(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn half_an_answer_is_none() {
    is_away_and_back(Line::Cut(700)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Docker Engine: ./dev docker"]
async fn an_engine_that_falls_silent_is_caught_up_with_when_it_speaks() {
    is_away_and_back(Line::Silent).await;
}
