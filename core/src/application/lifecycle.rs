//! When an instance enters: a state machine without I/O.

use std::collections::HashMap;

/// What an instance goes through in each process before it is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Upgrade,
    Enter,
}

/// Which instances have entered, and what waits for those that are about to.
#[derive(Debug)]
pub(crate) struct Lifecycle<T> {
    /// What the author wrote, in order. Without any, every instance has entered.
    stages: Vec<Stage>,
    instances: HashMap<String, Entering<T>>,
}

#[derive(Debug)]
enum Entering<T> {
    /// At which of the stages it is, and what waits.
    At(usize, Vec<T>),
    Entered,
}

/// What to do with something that came for an instance.
#[derive(Debug, PartialEq)]
pub(crate) enum Arrival<T> {
    Run(T),
    /// It waits; this is the stage to begin with.
    Begin(Stage),
    /// It waits.
    Wait,
}

/// What to do after a stage.
#[derive(Debug, PartialEq)]
pub(crate) enum After<T> {
    Next(Stage),
    /// The instance has entered; these have waited for it.
    Run(Vec<T>),
}

impl<T> Lifecycle<T> {
    pub(crate) fn new(stages: Vec<Stage>) -> Self {
        Lifecycle { stages, instances: HashMap::new() }
    }

    /// Something has come for an instance.
    pub(crate) fn arrive(&mut self, instance: &str, item: T) -> Arrival<T> {
        let Some(&first) = self.stages.first() else { return Arrival::Run(item) };
        match self.instances.get_mut(instance) {
            Some(Entering::Entered) => Arrival::Run(item),
            Some(Entering::At(_, waiting)) => {
                waiting.push(item);
                Arrival::Wait
            }
            None => {
                self.instances.insert(instance.to_owned(), Entering::At(0, vec![item]));
                Arrival::Begin(first)
            }
        }
    }

    /// The instance exists, although nothing has come for it.
    pub(crate) fn notice(&mut self, instance: &str) -> Option<Stage> {
        let first = *self.stages.first()?;
        if self.instances.contains_key(instance) {
            return None;
        }
        self.instances.insert(instance.to_owned(), Entering::At(0, Vec::new()));
        Some(first)
    }

    /// This one needs not enter.
    pub(crate) fn entered(&mut self, instance: &str) {
        self.instances.insert(instance.to_owned(), Entering::Entered);
    }

    /// The present stage of an instance has succeeded.
    pub(crate) fn succeeded(&mut self, instance: &str) -> After<T> {
        let Some(Entering::At(stage, waiting)) = self.instances.get_mut(instance) else {
            return After::Run(Vec::new());
        };
        *stage += 1;
        match self.stages.get(*stage) {
            Some(&next) => After::Next(next),
            None => {
                let waiting = std::mem::take(waiting);
                self.entered(instance);
                After::Run(waiting)
            }
        }
    }

    /// The present stage has failed: gives what has waited. Whatever comes next tries again.
    pub(crate) fn failed(&mut self, instance: &str) -> Vec<T> {
        match self.instances.remove(instance) {
            Some(Entering::At(_, waiting)) => waiting,
            _ => Vec::new(),
        }
    }

    /// The instance is gone.
    pub(crate) fn gone(&mut self, instance: &str) {
        if matches!(self.instances.get(instance), Some(Entering::Entered)) {
            self.instances.remove(instance);
        }
    }

    /// Takes what waits and matches.
    pub(crate) fn withdraw(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        self.instances.values_mut().find_map(|entering| match entering {
            Entering::At(_, waiting) => waiting.iter().position(&matches).map(|index| waiting.remove(index)),
            Entering::Entered => None,
        })
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let all = self.instances.values_mut().filter_map(|entering| match entering {
            Entering::At(_, waiting) => Some(std::mem::take(waiting)),
            Entering::Entered => None,
        });
        all.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_stages_everything_runs_at_once() {
        let mut lifecycle = Lifecycle::new(Vec::new());
        assert_eq!(lifecycle.arrive("i", 1), Arrival::Run(1));
        assert_eq!(lifecycle.notice("i"), None);
    }

    #[test]
    fn what_comes_waits_for_every_stage_in_order() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Upgrade, Stage::Enter]);
        assert_eq!(lifecycle.arrive("i", 1), Arrival::Begin(Stage::Upgrade));
        assert_eq!(lifecycle.arrive("i", 2), Arrival::Wait);
        assert_eq!(lifecycle.notice("i"), None);
        assert_eq!(lifecycle.succeeded("i"), After::Next(Stage::Enter));
        assert_eq!(lifecycle.arrive("i", 3), Arrival::Wait);
        assert_eq!(lifecycle.withdraw(|&item| item == 2), Some(2));
        assert_eq!(lifecycle.succeeded("i"), After::Run(vec![1, 3]));
        assert_eq!(lifecycle.arrive("i", 4), Arrival::Run(4));
        // Another instance enters on its own.
        assert_eq!(lifecycle.arrive("j", 5), Arrival::Begin(Stage::Upgrade));
    }

    #[test]
    fn a_failed_stage_is_tried_again() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Enter]);
        assert_eq!(lifecycle.notice("i"), Some(Stage::Enter));
        assert_eq!(lifecycle.arrive("i", 1), Arrival::Wait);
        assert_eq!(lifecycle.failed("i"), [1]);
        assert_eq!(lifecycle.arrive("i", 2), Arrival::Begin(Stage::Enter));
        assert_eq!(lifecycle.drain(), [2]);
    }

    #[test]
    fn an_instance_that_is_gone_enters_again_when_it_comes_back() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Enter]);
        lifecycle.entered("i");
        assert_eq!(lifecycle.arrive("i", 1), Arrival::Run(1));
        lifecycle.gone("i");
        assert_eq!(lifecycle.arrive("i", 2), Arrival::Begin(Stage::Enter));
    }
}
