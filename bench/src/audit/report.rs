use std::time::Duration;

use super::tally::{Fault, Finding};
use crate::report::lines;

/// What came out for one store and durability.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `sled` or `fjall`.
    pub store: String,
    /// `process` or `sync`.
    pub durability: String,
    /// Servers killed.
    pub kills: u64,
    /// Servers that came up again by themselves.
    pub restarts: u64,
    /// Calls, creations, batches, deliveries and updates that were acknowledged.
    pub acknowledged: u64,
    /// The longest time from start to serving.
    pub longest_recovery: Duration,
    /// What may not be.
    pub findings: Vec<Finding>,
}

impl Outcome {
    fn count(&self, fault: Fault) -> String {
        self.findings.iter().filter(|finding| finding.fault == fault).count().to_string()
    }
}

/// The outcomes as a table, in Markdown.
pub fn table(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            [
                outcome.store.clone(),
                outcome.durability.clone(),
                outcome.kills.to_string(),
                outcome.restarts.to_string(),
                outcome.acknowledged.to_string(),
                outcome.count(Fault::Lost),
                outcome.count(Fault::Duplicated),
                outcome.count(Fault::Wrong),
                format!("{:.2} s", outcome.longest_recovery.as_secs_f64()),
            ]
        })
        .collect();
    lines(
        [
            "store",
            "durability",
            "kills",
            "restarts",
            "acknowledged",
            "lost",
            "duplicated",
            "wrong",
            "longest recovery",
        ],
        &rows,
    )
}
