use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::{Measured, Window, measured::Times, process::Parent};
use crate::{
    echo::{self, EchoClient, Frame},
    values,
};

pub(super) async fn serve(parent: &mut Parent) -> anyhow::Result<()> {
    let (sender, receiver) = oneshot::channel();
    let serving = tokio::spawn(echo::serve(|address| {
        let _ = sender.send(address);
    }));
    let address = receiver.await?;
    parent.ready(&format!("http://{address}"))?;
    parent.end().await;
    serving.abort();
    Ok(())
}

pub(super) async fn unary(
    parent: &mut Parent,
    endpoint: &str,
    in_flight: usize,
    bytes: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let client = EchoClient::connect(endpoint).await?;
    let message = values::sized(bytes)?;
    parent.begin().await?;
    let window = window.open();
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let mut client = client.clone();
        let message = message.clone();
        callers.spawn(async move {
            let mut times = Times::new()?;
            let mut before = Instant::now();
            while !window.is_over(before) {
                client.unary(message.clone()).await?;
                let now = Instant::now();
                if window.counts(now) {
                    times.record(now - before);
                }
                before = now;
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Times::new()?;
    while let Some(caller) = callers.join_next().await {
        times.add(&caller??)?;
    }
    Ok(Measured::timed(&times, window.length()))
}

pub(super) async fn streamed(
    parent: &mut Parent,
    endpoint: &str,
    messages: usize,
    in_flight: usize,
    bytes: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let mut client = EchoClient::connect(endpoint).await?;
    let frame = Frame { messages: vec![values::sized(bytes)?; messages] };
    let (sender, receiver) = mpsc::channel(in_flight);
    let mut answers = client.streamed(ReceiverStream::new(receiver)).await?;
    parent.begin().await?;
    let window = window.open();
    let room = Arc::new(Semaphore::new(in_flight));
    let sending = room.clone();
    let sender = tokio::spawn(async move {
        while let Ok(permit) = sending.acquire().await {
            permit.forget();
            if sender.send(frame.clone()).await.is_err() {
                return;
            }
        }
    });
    let mut count = 0;
    // A look at the clock for each message would cost as much as the message.
    let mut clock = 0_u32;
    let mut now = Instant::now();
    while let Some(answer) = answers.next().await {
        room.add_permits(1);
        let came = answer?.messages.len();
        clock += 1;
        if messages > 1 || clock.is_multiple_of(16) {
            now = Instant::now();
            if window.is_over(now) {
                break;
            }
        }
        if window.counts(now) {
            count += came as u64;
        }
    }
    sender.abort();
    Ok(Measured::counted(count, window.length().max(Duration::from_nanos(1))))
}
