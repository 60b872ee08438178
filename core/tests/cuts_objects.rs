//! Each kind of mutation that `cuts.rs` leaves out, with its answer cut off and with the request itself cut off: the
//! repeat changes nothing, and gets what the first try would have got.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use perper::{
    ErrorKind, Result,
    protocol::{
        Activation, ExecutionFilter, Fabric, ListOperation, Listen, ListenEvent, ListenFrom, ListenOptions,
        ListenerOptions, NewExecution, NewInstance, NewStream, Settings, StreamOptions,
    },
};
use perper_fabric::{Config, RunningFabric};
use perper_proxy::{Cut, Proxy};

/// A server, and two sessions: one whose connection is cut, one that is left alone.
struct Stage {
    _server: RunningFabric,
    proxy: Proxy,
    fabric: Fabric,
    other: Fabric,
}

impl Stage {
    async fn set() -> Self {
        let config = Config { address: ([127, 0, 0, 1], 0).into(), ..Config::default() };
        let server = perper_fabric::Fabric::start(config).await.expect("a server");
        let proxy = Proxy::start(server.address()).await;
        let (fabric, other) = (connect(proxy.address()).await, connect(server.address()).await);
        Stage { _server: server, proxy, fabric, other }
    }

    /// Does it with the connection cut, and makes sure that it was.
    async fn cutting<T>(&self, cut: Cut, mutation: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.proxy.cuts();
        self.proxy.cut_next(cut);
        let outcome = mutation.await;
        assert_eq!(self.proxy.cuts(), before + 1, "{cut:?}: there was something to cut");
        outcome
    }
}

async fn connect(address: SocketAddr) -> Fabric {
    let settings = Settings::default().with_endpoint(format!("http://{address}"));
    Fabric::connect(settings.with_connect_timeout(Duration::from_secs(20))).await.expect("a session")
}

fn run(fabric: &Fabric) -> NewExecution {
    NewExecution { agent: "Cut".into(), delegate: "Run".into(), ..NewExecution::new(fabric.new_id()) }
}

fn listen(fabric: &Fabric, delegate: &str) -> Listen {
    let filter = ExecutionFilter {
        agent: "Cut".into(),
        delegates: vec![delegate.into()],
        ..ExecutionFilter::default()
    };
    fabric.listen(ListenOptions { filters: vec![filter], ..ListenOptions::default() })
}

async fn take(listening: &mut Listen) -> Result<Activation> {
    loop {
        for event in listening.next().await?.expect("the listen goes on") {
            if let ListenEvent::Activation(activation) = event {
                return Ok(*activation);
            }
        }
    }
}

fn persistent() -> StreamOptions {
    StreamOptions { persistent: true, ..StreamOptions::default() }
}

#[tokio::test]
async fn a_released_execution_goes_out_once_more() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        let mut listening = listen(&stage.fabric, "Run");
        let call = stage.other.call_execution(run(&stage.other));
        let first = take(&mut listening).await?;
        drop(listening);
        stage.cutting(cut, stage.fabric.release_execution(&first.execution, first.reservation)).await?;
        let mut listening = listen(&stage.other, "Run");
        let second = take(&mut listening).await?;
        assert_eq!((&second.execution, second.attempt), (&first.execution, 1), "{cut:?}: it did not count");
        stage.other.complete_execution(second.execution, second.reservation, Ok(Vec::new())).await?;
        assert!(call.await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn a_cancelled_execution_is_cancelled_once_and_forgotten_once() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        let execution = run(&stage.other);
        let id = execution.execution.clone();
        let call = stage.other.call_execution(execution);
        // The call is there before it is cancelled from elsewhere.
        let mut listening = listen(&stage.other, "Run");
        take(&mut listening).await?;
        stage.cutting(cut, stage.fabric.cancel_execution(&id)).await?;
        assert_eq!(call.await.expect_err("cancelled").kind(), ErrorKind::ExecutionCancelled, "{cut:?}");

        let manual = NewExecution { manual: true, ..run(&stage.fabric) };
        let id = manual.execution.clone();
        stage.cutting(cut, stage.fabric.create_execution(manual)).await?;
        let completing = stage.fabric.complete_execution(&id, Bytes::new(), Ok(Vec::new()));
        stage.cutting(cut, completing).await?;
        stage.cutting(cut, stage.fabric.forget_execution(&id)).await?;
        let gone = stage.other.get_execution(&id, true).await.expect_err("it is forgotten");
        assert!(
            matches!(gone.kind(), ErrorKind::NotFound | ErrorKind::ExecutionCompleted),
            "{cut:?}: {gone}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_lives_one_life() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        let id = stage.fabric.new_id();
        let declared = NewStream { declared: true, ..NewStream::new(&id) };
        stage.cutting(cut, stage.fabric.create_stream(declared)).await?;
        stage.cutting(cut, stage.fabric.start_stream(&id, persistent(), "")).await?;
        let item = perper_values::to_vec(&1)?.into();
        let key = stage.cutting(cut, stage.fabric.write_items(&id, Bytes::new(), [item])).await?;
        let info = stage.other.get_stream(&id).await?;
        assert_eq!((info.items_kept, info.last_key), (1, Some(key)), "{cut:?}");

        let named =
            ListenerOptions { name: "n".into(), from: ListenFrom::Beginning, ..ListenerOptions::new(&id) };
        let mut listener = stage.fabric.attach_listener(named);
        let attaching = async { listener.attached().await.map(drop) };
        attaching.await?;
        drop(listener);
        stage.cutting(cut, stage.fabric.remove_listener(&id, "n")).await?;
        let again = stage.other.remove_listener(&id, "n").await.expect_err("it is removed");
        assert_eq!(again.kind(), ErrorKind::NotFound, "{cut:?}");

        stage.cutting(cut, stage.fabric.complete_stream(&id, Bytes::new(), None)).await?;
        assert!(stage.other.get_stream(&id).await?.end.is_some(), "{cut:?}");
        stage.cutting(cut, stage.fabric.destroy_stream(&id)).await?;
        assert_eq!(
            stage.other.get_stream(&id).await.expect_err("gone").kind(),
            ErrorKind::NotFound,
            "{cut:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn attaching_a_listener_again_keeps_its_place() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        let id = stage.fabric.new_id();
        stage.other.create_stream(NewStream::new(&id)).await?;
        stage.proxy.cut_next(cut);
        let options = ListenerOptions { from: ListenFrom::Beginning, ..ListenerOptions::new(&id) };
        let mut listener = stage.fabric.attach_listener(options);
        listener.attached().await?;
        assert_eq!(stage.other.get_stream(&id).await?.listeners, 1, "{cut:?}");
        stage.other.write_items(&id, Bytes::new(), [perper_values::to_vec(&"only")?.into()]).await?;
        stage.other.complete_stream(&id, Bytes::new(), None).await?;
        assert!(listener.next().await?.is_some(), "{cut:?}");
        assert!(listener.next().await?.is_none(), "{cut:?}: it came once");
    }
    Ok(())
}

#[tokio::test]
async fn instances_start_and_stop_once() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        // Whoever serves the instance counts how often it is started and stopped.
        let (mut starts, mut stops) = (listen(&stage.other, "Start"), listen(&stage.other, "Stop"));
        let serve = async |listening: &mut Listen, result: u8| {
            let taken = take(listening).await?;
            let results = Ok(vec![perper_values::to_vec(&result)?.into()]);
            stage.other.complete_execution(taken.execution, taken.reservation, results).await
        };
        let id = stage.fabric.new_id();
        let instance = NewInstance { agent: "Cut".into(), instance: id.clone(), ..NewInstance::default() };
        let starting = stage.cutting(cut, stage.fabric.start_instance(instance));
        let (started, served) = tokio::join!(starting, serve(&mut starts, 1));
        served?;
        assert_eq!(started?.results, [Bytes::from(perper_values::to_vec(&1)?)], "{cut:?}");

        let stopping = stage.cutting(cut, stage.fabric.stop_instance(&id, false, None));
        let (stopped, served) = tokio::join!(stopping, serve(&mut stops, 2));
        served?;
        assert!(stopped?, "{cut:?}: it was there");
        assert!(!stage.other.stop_instance(&id, false, None).await?, "{cut:?}: it is gone");
    }
    Ok(())
}

#[tokio::test]
async fn lists_are_created_and_destroyed_once() -> Result<()> {
    let stage = Stage::set().await;
    for cut in [Cut::Answer, Cut::Request] {
        let id = stage.fabric.new_id();
        stage.cutting(cut, stage.fabric.create_list(&id, None, Bytes::new())).await?;
        stage.cutting(cut, stage.fabric.destroy_list(&id)).await?;
        let gone = stage.other.update_list(&id, ListOperation::Count).await.expect_err("it is destroyed");
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{cut:?}");
    }
    Ok(())
}
