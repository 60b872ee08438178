use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_between_all_parts_and_the_outside() {
    let together = Together::default();
    let (to_part, mut part) = mpsc::unbounded_channel::<u32>();
    let (to_main, mut main) = mpsc::unbounded_channel::<u32>();
    let (to_outside, mut outside) = mpsc::unbounded_channel::<u32>();
    together.spawn(async move {
        while let Some(number) = part.recv().await {
            to_main.send(number + 1).unwrap();
        }
    });
    let running = tokio::spawn(together.run(async move {
        while let Some(number) = main.recv().await {
            to_outside.send(number + 1).unwrap();
        }
    }));
    for number in 0..10_000 {
        to_part.send(number).unwrap();
        assert_eq!(timeout(SOON, outside.recv()).await.unwrap(), Some(number + 2));
    }
    drop(to_part);
    timeout(SOON, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_spawned_by_a_part_is_polled_too() {
    let together = Together::default();
    let (sender, receiver) = oneshot::channel();
    let inner = together.clone();
    together.spawn(async move { inner.spawn(async move { sender.send(7).unwrap() }) });
    assert_eq!(timeout(SOON, together.run(receiver)).await.unwrap(), Ok(7));
}

#[tokio::test]
async fn a_panic_ends_one_part_only() {
    let together = Together::default();
    let (sender, receiver) = oneshot::channel();
    together.spawn(async { panic!("on purpose") });
    together.spawn(async move { sender.send(()).unwrap() });
    assert_eq!(timeout(SOON, together.run(receiver)).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn what_is_left_at_the_end_goes_on() {
    let together = Together::default();
    let (go, wait) = oneshot::channel::<()>();
    let (sender, receiver) = oneshot::channel();
    together.spawn(async move {
        wait.await.unwrap();
        sender.send(()).unwrap();
    });
    let late = together.clone();
    together.run(async {}).await;
    go.send(()).unwrap();
    timeout(SOON, receiver).await.unwrap().unwrap();
    let (sender, receiver) = oneshot::channel();
    late.spawn(async move { sender.send(()).unwrap() });
    timeout(SOON, receiver).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_part_that_is_always_ready_lets_others_run() {
    let together = Together::default();
    together.spawn(async {
        for _ in 0..u64::MAX {
            tokio::task::yield_now().await;
        }
    });
    let running = tokio::spawn(together.run(std::future::pending::<()>()));
    // On the one thread of this runtime: this ends only if the task gives way.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    running.abort();
}

#[test]
fn what_is_left_when_a_runtime_ends_may_still_enter_it() {
    /// Tells whether it could enter the runtime when it was dropped.
    struct Enters(tokio::runtime::Handle, std::sync::mpsc::Sender<bool>);
    impl Drop for Enters {
        fn drop(&mut self) {
            let entered = catch_unwind(AssertUnwindSafe(|| drop(self.0.enter()))).is_ok();
            self.1.send(entered).unwrap();
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (left, late) =
        (Enters(runtime.handle().clone(), sender.clone()), Enters(runtime.handle().clone(), sender));
    runtime.block_on(async {
        let together = Together::default();
        let pending = async move {
            let _left = left;
            std::future::pending::<()>().await;
        };
        together.spawn(pending);
        tokio::spawn(together.clone().run(std::future::pending::<()>()));
        tokio::task::yield_now().await;
        together.spawn(async move {
            let _late = late;
            std::future::pending::<()>().await;
        });
    });
    drop(runtime);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [true, true]);
}
