//! What went through the fronts of a cluster, and how often they fail.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use rand::prelude::*;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::watch;

/// How often fronts fail, of a thousand requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// An error, and nothing has happened.
    pub(crate) before: u32,
    /// An error, although it has happened.
    pub(crate) after: u32,
    /// A watch that breaks, of a thousand pieces of news.
    pub(crate) watches: u32,
    /// The history is compacted, of a thousand requests.
    pub(crate) compactions: u32,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The name of the front that it came through.
    pub(crate) by: String,
    pub(crate) method: http::Method,
    pub(crate) resource: String,
    /// When it came.
    pub(crate) at: Instant,
    /// What it wrote, where it succeeded.
    pub(crate) object: Option<Value>,
}

impl Request {
    /// Whether it was to change something.
    pub(crate) fn writes(&self) -> bool {
        self.method != http::Method::GET
    }
}

/// What the fronts of one cluster have in common.
pub(super) struct Ways {
    faults: Mutex<(Faults, StdRng)>,
    log: Mutex<Vec<Request>>,
    compact: Box<dyn Fn() + Send + Sync>,
    /// How often watches were told that what they want is forgotten.
    pub(super) forgotten: watch::Sender<u64>,
}

impl Ways {
    /// `compact` makes the server forget its history; none where a server does not do as it is told.
    pub(super) fn new(compact: Option<Box<dyn Fn() + Send + Sync>>) -> Self {
        let forgotten = watch::Sender::new(0);
        let told = forgotten.clone();
        Ways {
            faults: Mutex::new((Faults::default(), StdRng::seed_from_u64(0))),
            log: Mutex::default(),
            compact: compact.unwrap_or_else(|| Box::new(move || told.send_modify(|times| *times += 1))),
            forgotten,
        }
    }

    pub(super) fn set_faults(&self, faults: Faults, seed: u64) {
        *self.faults.lock().unwrap() = (faults, StdRng::seed_from_u64(seed));
    }

    /// Whether what happens so often happens now.
    pub(super) fn fails(&self, per_thousand: impl FnOnce(Faults) -> u32) -> bool {
        let mut state = self.faults.lock().unwrap();
        let (faults, random) = &mut *state;
        let per_thousand = per_thousand(*faults);
        per_thousand > 0 && random.random_ratio(per_thousand.min(1000), 1000)
    }

    pub(super) fn compact(&self) {
        (self.compact)();
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        self.log.lock().unwrap()
    }
}
