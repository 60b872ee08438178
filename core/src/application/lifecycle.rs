//! When an instance enters: a state machine without I/O.

use std::collections::{HashMap, VecDeque};

/// What an instance goes through in each process before it is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Upgrade,
    Enter,
}

/// Lives that have left are remembered up to this many: what tells of instances may lag, but not by so much.
const REMEMBERED: usize = 1_024;

/// Which instances have entered, and what waits for those that are about to.
///
/// An instance that is stopped and started again under its id has another life, with a higher incarnation, and enters
/// anew. What calls it and what tells that it exists come on different ways, so either may tell of the other's past.
#[derive(Debug)]
pub(crate) struct Lifecycle<T> {
    /// What the author wrote, in order. Without any, every instance has entered.
    stages: Vec<Stage>,
    instances: HashMap<String, Life<T>>,
    /// Lives that were told to stop, the latest first: they do not enter again, whatever still tells of them.
    left: VecDeque<(String, u64)>,
}

#[derive(Debug)]
struct Life<T> {
    /// 0: not known yet, which the first that comes tells.
    incarnation: u64,
    /// The latest incarnation that [`Lifecycle::notice`] told of.
    noticed: u64,
    entering: Entering<T>,
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
        Lifecycle { stages, instances: HashMap::new(), left: VecDeque::new() }
    }

    /// Something has come for a life of an instance.
    pub(crate) fn arrive(&mut self, instance: &str, incarnation: u64, item: T) -> Arrival<T> {
        let Some(&first) = self.stages.first() else { return Arrival::Run(item) };
        if !self.instances.contains_key(instance) && self.has_left(instance, incarnation) {
            return Arrival::Run(item);
        }
        match self.life(instance, incarnation) {
            Some(Life { entering: Entering::At(_, waiting), .. }) => {
                waiting.push(item);
                Arrival::Wait
            }
            Some(life) if life.incarnation >= incarnation => Arrival::Run(item),
            _ => {
                self.begin(instance, incarnation, vec![item]);
                Arrival::Begin(first)
            }
        }
    }

    /// A life of the instance exists, although nothing has come for it.
    pub(crate) fn notice(&mut self, instance: &str, incarnation: u64) -> Option<Stage> {
        let first = *self.stages.first()?;
        if let Some(life) = self.life(instance, incarnation) {
            life.noticed = life.noticed.max(incarnation);
            if life.incarnation >= incarnation || matches!(life.entering, Entering::At(..)) {
                return None;
            }
        } else if self.has_left(instance, incarnation) {
            return None;
        }
        self.begin(instance, incarnation, Vec::new()).noticed = incarnation;
        Some(first)
    }

    /// The life that an instance has here, of which something tells the incarnation.
    fn life(&mut self, instance: &str, incarnation: u64) -> Option<&mut Life<T>> {
        let life = self.instances.get_mut(instance)?;
        if life.incarnation == 0 {
            life.incarnation = incarnation;
        }
        Some(life)
    }

    fn begin(&mut self, instance: &str, incarnation: u64, waiting: Vec<T>) -> &mut Life<T> {
        let noticed = self.instances.get(instance).map_or(0, |former| former.noticed);
        let life = Life { incarnation, noticed, entering: Entering::At(0, waiting) };
        self.instances.entry(instance.to_owned()).insert_entry(life).into_mut()
    }

    fn has_left(&self, instance: &str, incarnation: u64) -> bool {
        self.left.iter().any(|(left, life)| left == instance && *life >= incarnation)
    }

    /// This one needs not enter.
    pub(crate) fn entered(&mut self, instance: &str) {
        let life = Life { incarnation: 0, noticed: 0, entering: Entering::Entered };
        self.instances.insert(instance.to_owned(), life);
    }

    /// The present stage of an instance has succeeded.
    pub(crate) fn succeeded(&mut self, instance: &str) -> After<T> {
        let Some(Life { entering, .. }) = self.instances.get_mut(instance) else {
            return After::Run(Vec::new());
        };
        let Entering::At(stage, waiting) = entering else { return After::Run(Vec::new()) };
        *stage += 1;
        match self.stages.get(*stage) {
            Some(&next) => After::Next(next),
            None => {
                let waiting = std::mem::take(waiting);
                *entering = Entering::Entered;
                After::Run(waiting)
            }
        }
    }

    /// The present stage has failed: gives what has waited. Whatever comes next tries again.
    pub(crate) fn failed(&mut self, instance: &str) -> Vec<T> {
        match self.instances.remove(instance) {
            Some(Life { entering: Entering::At(_, waiting), .. }) => waiting,
            _ => Vec::new(),
        }
    }

    /// That life of the instance is told to stop: the last that comes for it.
    pub(crate) fn leave(&mut self, instance: &str, incarnation: u64) {
        let entered = |life: &Life<T>| matches!(life.entering, Entering::Entered);
        if self.instances.get(instance).is_some_and(|life| entered(life) && life.incarnation <= incarnation) {
            self.instances.remove(instance);
            self.left.truncate(REMEMBERED - 1);
            self.left.push_front((instance.to_owned(), incarnation));
        }
    }

    /// The instance is gone, as far as [`notice`](Self::notice) has told of its lives.
    pub(crate) fn gone(&mut self, instance: &str) {
        let told = |life: &Life<T>| life.incarnation <= life.noticed;
        let entered = |life: &Life<T>| matches!(life.entering, Entering::Entered);
        if self.instances.get(instance).is_some_and(|life| entered(life) && told(life)) {
            self.instances.remove(instance);
        }
    }

    /// Takes what waits and matches.
    pub(crate) fn withdraw(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        self.instances.values_mut().find_map(|life| match &mut life.entering {
            Entering::At(_, waiting) => waiting.iter().position(&matches).map(|index| waiting.remove(index)),
            Entering::Entered => None,
        })
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        let all = self.instances.values_mut().filter_map(|life| match &mut life.entering {
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
        assert_eq!(lifecycle.arrive("i", 1, 1), Arrival::Run(1));
        assert_eq!(lifecycle.notice("i", 1), None);
    }

    #[test]
    fn what_comes_waits_for_every_stage_in_order() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Upgrade, Stage::Enter]);
        assert_eq!(lifecycle.arrive("i", 1, 1), Arrival::Begin(Stage::Upgrade));
        assert_eq!(lifecycle.arrive("i", 1, 2), Arrival::Wait);
        assert_eq!(lifecycle.notice("i", 1), None);
        assert_eq!(lifecycle.succeeded("i"), After::Next(Stage::Enter));
        assert_eq!(lifecycle.arrive("i", 1, 3), Arrival::Wait);
        assert_eq!(lifecycle.withdraw(|&item| item == 2), Some(2));
        assert_eq!(lifecycle.succeeded("i"), After::Run(vec![1, 3]));
        assert_eq!(lifecycle.arrive("i", 1, 4), Arrival::Run(4));
        // Another instance enters on its own.
        assert_eq!(lifecycle.arrive("j", 1, 5), Arrival::Begin(Stage::Upgrade));
    }

    #[test]
    fn a_failed_stage_is_tried_again() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Enter]);
        assert_eq!(lifecycle.notice("i", 1), Some(Stage::Enter));
        assert_eq!(lifecycle.arrive("i", 1, 1), Arrival::Wait);
        assert_eq!(lifecycle.failed("i"), [1]);
        assert_eq!(lifecycle.arrive("i", 1, 2), Arrival::Begin(Stage::Enter));
        assert_eq!(lifecycle.drain(), [2]);
    }

    /// A lifecycle in which that life has entered, on a notice if `noticed`.
    fn with_entered(incarnation: u64, noticed: bool) -> Lifecycle<u32> {
        let mut lifecycle = Lifecycle::new(vec![Stage::Enter]);
        if noticed {
            assert_eq!(lifecycle.notice("i", incarnation), Some(Stage::Enter));
        } else {
            assert_eq!(lifecycle.arrive("i", incarnation, 0), Arrival::Begin(Stage::Enter));
        }
        assert!(matches!(lifecycle.succeeded("i"), After::Run(_)));
        lifecycle
    }

    #[test]
    fn a_life_that_was_told_to_stop_does_not_enter_again() {
        let mut lifecycle = with_entered(1, false);
        lifecycle.leave("i", 1);
        assert_eq!(lifecycle.notice("i", 1), None, "told late");
        assert_eq!(lifecycle.arrive("i", 1, 1), Arrival::Run(1), "what its Stop calls");
        lifecycle.gone("i");
        assert_eq!(lifecycle.notice("i", 1), None);
        assert_eq!(lifecycle.notice("i", 2), Some(Stage::Enter), "the next life");
    }

    #[test]
    fn each_life_enters_once() {
        for noticed in [true, false] {
            let mut lifecycle = with_entered(1, noticed);
            // Killed by force, and started again; nothing has told of its end yet.
            assert_eq!(lifecycle.arrive("i", 2, 1), Arrival::Begin(Stage::Enter));
            assert_eq!(lifecycle.succeeded("i"), After::Run(vec![1]));
            lifecycle.gone("i");
            assert_eq!(lifecycle.notice("i", 2), None, "the end was that of the first life");
            lifecycle.gone("i");
            assert_eq!(lifecycle.notice("i", 3), Some(Stage::Enter));
        }
    }

    #[test]
    fn a_life_whose_incarnation_is_told_later_enters_once() {
        let mut lifecycle = with_entered(0, true);
        assert_eq!(lifecycle.arrive("i", 5, 1), Arrival::Run(1));
        assert_eq!(lifecycle.notice("i", 5), None);
        assert_eq!(lifecycle.arrive("i", 6, 2), Arrival::Begin(Stage::Enter));
    }

    #[test]
    fn no_more_is_remembered_than_needed() {
        let mut lifecycle = Lifecycle::new(vec![Stage::Enter]);
        for number in 0..2 * REMEMBERED {
            let instance = number.to_string();
            assert_eq!(lifecycle.arrive(&instance, 1, number), Arrival::Begin(Stage::Enter));
            lifecycle.succeeded(&instance);
            lifecycle.leave(&instance, 1);
        }
        assert_eq!((lifecycle.instances.len(), lifecycle.left.len()), (0, REMEMBERED));
    }
}
