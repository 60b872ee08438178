//! An application whose agents the Scaler starts: `kill -9` in mid-run changes nothing in its result.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use perper::Context;
use rustix::process::Signal;
use tokio::process::{Child, Command};

use self::support::wordcount::{Text, lines, pipe, tokenized, top};
use self::support::{PATIENCE, Scaler, World, kill};

/// Lines of the text: so many before what the test does, and as many after it.
const HALF: u32 = 5_000;

/// Built beside this test's own binary, by `cargo build -p perper-examples`.
fn wordcount() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_perper-scaler")).with_file_name("wordcount");
    assert!(path.exists(), "{} is missing; cargo build -p perper-examples makes it", path.display());
    path
}

/// The application, which has begun to count what is written here.
struct Counting {
    world: World,
    scaler: Scaler,
    context: Context,
    child: Child,
    text: Text,
}

impl Counting {
    /// The processes of one of the agents are to be found in the world.
    async fn start(found: &str) -> Self {
        let world = World::new().await;
        let program = wordcount();
        let agent = |name: &str, more: &str| {
            let environment = if name == found { ", environment: {TEST_ID: $ID}" } else { "" };
            format!("  {name}: {{command: [{}, --agent, {name}]{more}{environment}}}\n", program.display())
        };
        let file = world.write(&format!(
            "agents:\n{}{}{}",
            agent("Reader", ", shared: 1"),
            agent("Tokenizer", ""),
            agent("Counter", "")
        ));
        let pipe = pipe(world.folder.path());
        let scaler = Scaler::process(&world, &file, &["--backoff", "10ms"]);
        let child = Command::new(&program)
            .args(["--scaled".as_ref(), pipe.as_os_str()])
            .env("PERPER_FABRIC_ENDPOINT", world.endpoint())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let context = world.fabric().connect().await.unwrap();
        let text = Text::open(&pipe).await;
        Counting { world, scaler, context, child, text }
    }

    /// Kills the one process that serves an instance.
    fn kill(&self, instance: &str) -> i32 {
        let [pid] = self.world.leaders()[instance][..] else { panic!("{:?}", self.world.leaders()) };
        kill(pid, Signal::KILL);
        pid
    }
}

async fn output(child: Child) -> Output {
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokenizer_that_is_killed_changes_nothing_in_the_result() {
    let mut counting = Counting::start("Tokenizer").await;
    counting.text.write(&lines(0..HALF)).await;
    let fabric = counting.context.fabric().clone();
    // One dies as soon as all have something to show, another one when all have done all there is. Neither has done all.
    let instances = tokenized(&fabric, 0).await;
    let [first, second, _] = &Vec::from_iter(instances)[..] else { panic!("there are three") };
    let pid = counting.kill(first);
    counting.world.other_than(first, pid).await;
    tokenized(&fabric, i64::from(HALF) - 3).await;
    let pid = counting.kill(second);
    let Counting { world, scaler, child, mut text, .. } = counting;
    text.write(&lines(HALF..2 * HALF)).await;
    world.other_than(second, pid).await;
    drop(text);
    let output = output(child).await;
    assert!(output.status.success(), "{output:?}{}{}", scaler.log(), scaler.out());
    assert_eq!(String::from_utf8_lossy(&output.stdout), top(&lines(0..2 * HALF)));
    let died = scaler.log().matches("a process ended by itself").count();
    assert_eq!(died, 2, "{}", scaler.log());
    // The instances are stopped, and so are their processes.
    world.nothing_runs().await;
    scaler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_killed_says_that_a_pipe_cannot_be_read_again() {
    let mut counting = Counting::start("Reader").await;
    counting.text.write(&lines(0..HALF)).await;
    tokenized(counting.context.fabric(), 0).await;
    // Replicas serve no instance.
    counting.kill("");
    let output = output(counting.child).await;
    assert!(!output.status.success(), "{output:?}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("what it had read of a pipe is gone"), "{complaint}");
    counting.scaler.stop().await;
}
