//! Carrying operations out again whose outcome an engine does not know.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::engine::{Done, Engine, Operation, Outcome, is_unknown};

/// Repeats that follow at once; later ones wait, longer each time, since whatever is wrong is not over in a moment.
const AT_ONCE: u32 = 4;

/// The longest wait before a repeat.
const LONGEST: Duration = Duration::from_secs(1);

/// The engine, as the broker uses it: outcomes are known.
pub(super) struct Repeating {
    engine: Arc<dyn Engine>,
    /// For repeats that wait. Outcomes come on threads where there is no runtime by itself.
    runtime: Handle,
}

impl Repeating {
    /// Over an engine, on the runtime that this is called on.
    pub(super) fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { engine, runtime: Handle::current() })
    }

    /// As [`Engine::apply`], but what is unknown is carried out again until it is not. Only a mutation without an
    /// identity whose repeat could be seen stays unknown: its client has said that it looks before it repeats.
    pub(super) fn apply(self: &Arc<Self>, operations: Vec<Operation>, done: Done) {
        self.attempt(operations, 0, Operation::may_be_repeated, done);
    }

    /// Carries out what follows from something else, again until that has been done: nobody looks at the outcome.
    pub(super) fn settle(self: &Arc<Self>, operations: Vec<Operation>) {
        self.attempt(operations, 0, |_| true, Box::new(|_| {}));
    }

    fn attempt(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        attempt: u32,
        repeats: fn(&Operation) -> bool,
        done: Done,
    ) {
        if !self.engine.answers_unknown() {
            return self.engine.apply(operations, done);
        }
        let this = Arc::clone(self);
        let kept = operations.clone();
        self.engine.apply(
            operations,
            Box::new(move |outcomes| this.conclude(kept, outcomes, attempt, repeats, done)),
        );
    }

    fn conclude(
        self: &Arc<Self>,
        operations: Vec<Operation>,
        mut outcomes: Vec<Outcome>,
        attempt: u32,
        repeats: fn(&Operation) -> bool,
        done: Done,
    ) {
        let mut places = Vec::new();
        let mut again = Vec::new();
        for (place, (operation, outcome)) in operations.into_iter().zip(&outcomes).enumerate() {
            if is_unknown(outcome) && repeats(&operation) {
                places.push(place);
                again.push(operation);
            }
        }
        if again.is_empty() {
            return done(outcomes);
        }
        let merge: Done = Box::new(move |repeated| {
            for (place, outcome) in places.into_iter().zip(repeated) {
                outcomes[place] = outcome;
            }
            done(outcomes);
        });
        let next = attempt + 1;
        if next <= AT_ONCE {
            return self.attempt(again, next, repeats, merge);
        }
        let wait = Duration::from_millis(1 << (next - AT_ONCE).min(10)).min(LONGEST);
        let this = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            this.attempt(again, next, repeats, merge);
        });
    }
}
