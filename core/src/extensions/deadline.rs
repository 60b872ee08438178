use std::{future::Future, time::Duration};

use super::ambient::try_context;
use crate::{Error, ErrorKind};

/// Runs a future under a deadline: every call that is made in it carries the time that remains, and so do the calls
/// below those. When the time is up, the future is dropped, which cancels the calls it waits for, and the outcome is an
/// error of kind [`DeadlineExceeded`](ErrorKind::DeadlineExceeded).
///
/// Of nested scopes, and of a handler's own deadline, the earliest counts. A context that is passed explicitly does not
/// see the scope: use [`Context::with_timeout`](super::Context::with_timeout) there.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn example() -> perper::Result<()> {
/// let answer: String =
///     perper::with_timeout(Duration::from_secs(2), perper::call("Ask", "What is it?")).await?;
/// # drop(answer);
/// # Ok(())
/// # }
/// ```
pub async fn with_timeout<T, E>(timeout: Duration, future: impl Future<Output = Result<T, E>>) -> Result<T, E>
where
    E: From<Error>,
{
    let timed = match try_context() {
        Some(context) => {
            let context = context.with_timeout(timeout);
            let remaining = context.remaining().unwrap_or(timeout);
            tokio::time::timeout(remaining, context.scope(future)).await
        }
        None => tokio::time::timeout(timeout, future).await,
    };
    timed.unwrap_or_else(|_| {
        let message = format!("the time of {timeout:?} is up");
        Err(Error::new(ErrorKind::DeadlineExceeded, message).into())
    })
}
