//! The contract, held by two hostile servers under several seeds.

use std::sync::Arc;
use std::thread::JoinHandle;

use perper_store::MemoryStore;

use super::Cluster;
use crate::engine::Engine;
use crate::engine::contract::Data;

/// Two servers over memory that outlives them.
pub(crate) struct Hostile {
    seed: u64,
    store: Arc<MemoryStore>,
    boots: u64,
    drivers: Vec<JoinHandle<()>>,
}

impl Hostile {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, store: Arc::new(MemoryStore::new()), boots: 0, drivers: Vec::new() }
    }
}

impl Data for Hostile {
    fn boot(&mut self) -> Vec<Arc<dyn Engine>> {
        self.boots += 1;
        let cluster = Cluster::start(Arc::clone(&self.store), self.boots, self.seed, 2);
        let driver = Arc::clone(&cluster);
        self.drivers.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(driver.run());
        }));
        vec![cluster.server(0), cluster.server(1)]
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the hostile engine was driven by seed {}", self.seed);
            // A driver that waits for a server that is not closed any more would keep the failure from being told.
            return;
        }
        for driver in self.drivers.drain(..) {
            driver.join().expect("the driver ends with the last server");
        }
    }
}
