use std::{collections::VecDeque, future::Future, time::Instant};

use bytes::Bytes;
use perper::protocol::{DictionaryOperation, ListOperation};

use super::{Measured, Window, calls::connect, process::Parent, window::Open};
use crate::values;

#[expect(clippy::too_many_arguments, reason = "they are the fields of the role, taken apart once")]
pub(super) async fn dictionary(
    parent: &mut Parent,
    endpoint: &str,
    dictionary: &str,
    set: bool,
    in_flight: usize,
    keys: u64,
    bytes: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let fabric = connect(endpoint).await?;
    let value = values::sized(bytes)?;
    let keys: Vec<Bytes> = (0..keys).map(values::key).collect::<anyhow::Result<_>>()?;
    fabric.create_dictionary(dictionary, None, Vec::new(), Bytes::new()).await?;
    parent.begin().await?;
    let mut chosen = keys.iter().cycle();
    let measured = pipeline(window.open(), in_flight, || {
        let key = chosen.next().cloned().unwrap_or_default();
        let operation = match set {
            true => DictionaryOperation::Set { key, value: value.clone() },
            false => DictionaryOperation::Get { key },
        };
        fabric.update_dictionary(dictionary, vec![operation])
    })
    .await?;
    fabric.close().await?;
    Ok(measured)
}

pub(super) async fn list(
    parent: &mut Parent,
    endpoint: &str,
    list: &str,
    in_flight: usize,
    bytes: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let fabric = connect(endpoint).await?;
    let value = values::sized(bytes)?;
    fabric.create_list(list, None, Bytes::new()).await?;
    parent.begin().await?;
    let measured =
        pipeline(window.open(), in_flight, || fabric.update_list(list, ListOperation::Add(value.clone())))
            .await?;
    fabric.close().await?;
    Ok(measured)
}

/// Keeps so many requests on their way, and counts the answers.
async fn pipeline<F, T>(
    window: Open,
    in_flight: usize,
    mut request: impl FnMut() -> F,
) -> anyhow::Result<Measured>
where
    F: Future<Output = perper::Result<T>>,
{
    let mut replies = VecDeque::with_capacity(in_flight);
    let mut count = 0;
    loop {
        while replies.len() < in_flight {
            replies.push_back(request());
        }
        let Some(reply) = replies.pop_front() else { break };
        reply.await?;
        let now = Instant::now();
        if window.counts(now) {
            count += 1;
        } else if window.is_over(now) {
            break;
        }
    }
    for reply in replies {
        reply.await?;
    }
    Ok(Measured::counted(count, window.length()))
}
