//! A gate that the harness closes and opens, for handlers that wait at it.

use std::sync::LazyLock;

use tokio::sync::watch;

static HELD: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

pub(crate) fn hold() {
    HELD.send_replace(true);
}

pub(crate) fn release() {
    HELD.send_replace(false);
}

/// Goes through, or waits until it is opened.
pub(crate) async fn pass() {
    // The sender is a static, so it never closes.
    drop(HELD.subscribe().wait_for(|held| !held).await);
}
