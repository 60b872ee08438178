//! Ten thousand listeners that wait, and then a burst: all are served, and the server's memory stays bounded.

use std::time::Duration;

use bytes::Bytes;
use perper::protocol::{
    Fabric, ListenFrom, ListenerOptions, NewStream, Settings, StreamOptions, WriterOptions,
};
use process::Process;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

mod process;

const SESSIONS: usize = 100;
const LISTENERS_EACH: usize = 100;
const BURST: u64 = 1_000;
/// Long enough for any machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the burst may cost the server: its items once (they are 100 KB), and for each session a few frames of 256 KiB
/// that are encoded and not yet sent. Far below what it would be if each listener had its own copy (1 GB).
const GROWTH_KIB: u64 = (SESSIONS as u64) << 12;

async fn connect(endpoint: &str) -> Fabric {
    Fabric::connect(Settings::default().with_endpoint(endpoint)).await.expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_listeners_and_then_a_burst() {
    process::raise_file_limit();
    let (server, address) = Process::fabric(None, None).await;
    let endpoint = format!("http://{address}");
    let writer = connect(&endpoint).await;
    let options = StreamOptions { persistent: true, ..StreamOptions::default() };
    writer.create_stream(NewStream { options, ..NewStream::new("crowded") }).await.expect("a stream");

    let (attached, mut attachments) = mpsc::unbounded_channel();
    let mut listening = JoinSet::new();
    for _ in 0..SESSIONS {
        let session = connect(&endpoint).await;
        for _ in 0..LISTENERS_EACH {
            let options = ListenerOptions { from: ListenFrom::Latest, ..ListenerOptions::new("crowded") };
            let mut listener = session.attach_listener(options);
            let attached = attached.clone();
            listening.spawn(async move {
                listener.attached().await.expect("it is attached");
                attached.send(()).expect("the test waits");
                let mut count = 0;
                while let Some(item) = listener.next().await.expect("the stream ends well") {
                    assert_eq!(number(&item.value), count);
                    count += 1;
                }
                count
            });
        }
    }
    let attaching = async {
        for _ in 0..SESSIONS * LISTENERS_EACH {
            attachments.recv().await.expect("listeners are alive");
        }
    };
    timeout(PATIENCE, attaching).await.expect("all are attached");
    assert_eq!(
        writer.get_stream("crowded").await.expect("it is there").listeners as usize,
        SESSIONS * LISTENERS_EACH
    );

    let before = server.resident_kib();
    let items = writer.writer(WriterOptions::new("crowded"));
    for number in 0..BURST {
        items.write(&item(number)).await.expect("it is taken");
    }
    items.flush().await.expect("everything is taken");
    writer.complete_stream("crowded", Bytes::new(), None).await.expect("it ends");
    let serving = async {
        while let Some(count) = listening.join_next().await {
            assert_eq!(count.expect("no panic"), BURST, "each listener gets every item");
        }
    };
    timeout(PATIENCE, serving).await.expect("all are served");
    if let (Some(before), Some(after)) = (before, server.resident_kib()) {
        eprintln!("resident with 10,000 idle listeners: {before} KiB, after the burst: {after} KiB");
        assert!(after < before + GROWTH_KIB, "from {before} KiB to {after} KiB");
    }
}

/// A hundred bytes that hold a number.
fn item(number: u64) -> Vec<u8> {
    perper_values::to_vec(&(number, "x".repeat(90))).expect("encodes")
}

fn number(value: &Bytes) -> u64 {
    let (number, _): (u64, String) = perper_values::from_slice(value).expect("decodes");
    number
}

#[tokio::test]
#[ignore = "the part of a server, for the tests that need one of their own"]
async fn fabric_process() {
    process::run_fabric().await;
}
