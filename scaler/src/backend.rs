//! What a back-end is.

use std::collections::BTreeMap;
use std::future::Future;

use tokio::sync::watch;

use crate::Result;
use crate::model::{Actual, Templates, Unit};
use crate::reconciler::Report;

/// Starts and stops units: as local processes, as containers, as Pods.
///
/// Every method can be repeated without harm, and none waits for a unit: `start` returns when the unit has been begun,
/// `stop` when it has been told. What becomes of it is seen in [`list`](Backend::list).
pub trait Backend: Send + Sync + 'static {
    /// Says what it is, in logs and metrics.
    const NAME: &'static str;

    /// How each agent is run, at present.
    fn templates(&self) -> Templates;

    /// Everything that runs, also what a Scaler started that is no more.
    fn list(&self) -> impl Future<Output = Result<Actual>> + Send;

    /// Starts a unit, in place of one that has ended if there is one.
    fn start(&self, unit: &Unit) -> impl Future<Output = Result<()>> + Send;

    /// Asks a unit to end, and sees to it that it does after its time to drain.
    fn stop(&self, unit: &Unit) -> impl Future<Output = Result<()>> + Send;

    /// Says how many replicas of an agent there are to be. Only for agents whose mode is
    /// [`Scaled`](crate::model::Mode::Scaled).
    fn scale(&self, agent: &str, replicas: u32) -> impl Future<Output = Result<()>> + Send;

    /// Takes notice of what a comparison came to, for those who keep a status somewhere.
    fn report(&self, report: &Report) -> impl Future<Output = Result<()>> + Send;

    /// Waits until what runs, or a template, may have changed. Dropping the future loses nothing.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Whether this process acts, where several stand by for each other.
    fn leads(&self) -> watch::Receiver<bool> {
        watch::Sender::new(true).subscribe()
    }

    /// Ends the back-end itself. What is bound to this process ends with it; the rest goes on.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;

    /// Executions pending or under way, by agent, if templates need to know.
    fn needs_load(&self) -> bool {
        self.templates().values().any(|template| matches!(template.mode, crate::model::Mode::Scaled { .. }))
    }
}

/// Executions pending or under way, by agent.
pub type Load = BTreeMap<String, u64>;
