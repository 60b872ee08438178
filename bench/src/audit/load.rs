use std::{future::Future, sync::Arc};

use bytes::Bytes;
use perper::protocol::{Fabric, Settings};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use super::tally::{Found, Tally};

/// What every load has: sessions of its own, the tally, and the word to stop.
#[derive(Clone, Debug)]
pub(super) struct Load {
    endpoint: String,
    tally: Arc<Tally>,
    stop: watch::Receiver<bool>,
    /// The run's seed, different for each load.
    pub(super) seed: u64,
}

impl Load {
    pub(super) fn new(endpoint: String, tally: Arc<Tally>, stop: watch::Receiver<bool>, seed: u64) -> Self {
        Load { endpoint, tally, stop, seed }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// A session. It waits for a server that is being restarted.
    pub(super) async fn connect(&self) -> Result<Fabric, Found> {
        let settings = Settings::default().with_endpoint(self.endpoint.clone());
        self.ok(Fabric::connect(settings), "connecting").await
    }

    pub(super) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits for the word to stop.
    pub(super) async fn stop(&self) {
        // A sender that is gone says the same.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// What must not fail: the protocol layer repeats what a crash cut off.
    pub(super) async fn ok<T>(
        &self,
        request: impl Future<Output = perper::Result<T>>,
        what: &str,
    ) -> Result<T, Found> {
        request.await.map_err(|error| self.tally.wrong(format!("{what} failed: {error}")))
    }

    /// A value as it is sent.
    pub(super) fn value(&self, value: &impl Serialize) -> Result<Bytes, Found> {
        let encoded = perper_values::to_vec(value);
        Ok(encoded.map_err(|error| self.tally.wrong(format!("a value cannot be encoded: {error}")))?.into())
    }

    /// A value as it came back.
    pub(super) fn read<T: DeserializeOwned>(&self, value: &[u8], what: &str) -> Result<T, Found> {
        perper_values::from_slice(value).map_err(|error| {
            self.tally.wrong(format!("{what} is {value:02x?}, which is not what was sent: {error}"))
        })
    }
}
