//! What is on its way from and to one server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::audience::{Audience, makes_obsolete, object_of};
use super::chance::Chance;
use super::cluster::Cluster;
use crate::engine::{Event, Observer, Subject};

/// A request that a server has handed over: what it does when it gets there.
pub(super) type Request = Box<dyn FnOnce(&Arc<Cluster>) + Send>;

/// An outcome on its way back.
pub(super) type Answer = Box<dyn FnOnce() + Send>;

/// Between one server and the data.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// Neither crashed nor closed.
    pub(super) alive: bool,
    follows: HashMap<Subject, usize>,
    /// Take effect in this order.
    pub(super) requests: VecDeque<Request>,
    /// Claims are no operations: they take effect in any order, before and after what is handed over later.
    pub(super) claims: Vec<Request>,
    /// Come back in any order.
    answers: Vec<Answer>,
    /// By object, so that the order of each can be kept.
    events: Vec<(String, VecDeque<Event>)>,
}

/// The next thing that happens to a server.
pub(super) enum Step {
    Request(Request),
    Answer(Answer),
    Events(Arc<dyn Observer>, Vec<Event>),
}

/// Of events that are told, so many percent are told again later.
const DOUBLED: usize = 15;

/// Of events that a later one makes obsolete, so many percent are left out.
const LEFT_OUT: usize = 50;

impl Inbox {
    pub(super) fn of_a_living_server() -> Self {
        Self { alive: true, ..Self::default() }
    }

    pub(super) fn has_work(&self) -> bool {
        self.kinds_of_work().contains(&true)
    }

    fn kinds_of_work(&self) -> [bool; 4] {
        let told = self.observer.is_some() && !self.events.is_empty();
        [!self.requests.is_empty(), !self.claims.is_empty(), !self.answers.is_empty(), told]
    }

    pub(super) fn follow(&mut self, subject: Subject) {
        *self.follows.entry(subject).or_default() += 1;
    }

    pub(super) fn unfollow(&mut self, subject: &Subject) {
        let count = self.follows.get_mut(subject).unwrap_or_else(|| panic!("{subject:?} is not followed"));
        *count -= 1;
        if *count == 0 {
            self.follows.remove(subject);
        }
    }

    /// What is followed, and how often: for tests that look for leaks.
    pub(super) fn follows(&self) -> &HashMap<Subject, usize> {
        &self.follows
    }

    pub(super) fn is_for(&self, audience: &Audience) -> bool {
        match audience {
            Audience::All => true,
            Audience::Followers(subjects) => {
                subjects.iter().any(|subject| self.follows.contains_key(subject))
            }
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        if self.alive {
            self.answers.push(answer);
        }
    }

    pub(super) fn tell(&mut self, event: Event, chance: &mut Chance) {
        if !self.alive {
            return;
        }
        let object = object_of(&event);
        let found = self.events.iter().position(|(other, _)| *other == object);
        let at = found.unwrap_or_else(|| {
            self.events.push((object, VecDeque::new()));
            self.events.len() - 1
        });
        let queue = &mut self.events[at].1;
        queue.retain(|earlier| !makes_obsolete(&event, earlier) || !chance.percent(LEFT_OUT));
        queue.push_back(event);
    }

    /// Chooses what happens next.
    pub(super) fn choose(&mut self, chance: &mut Chance) -> Option<Step> {
        // Each kind as likely as any other, whatever there is of it.
        let kinds = self.kinds_of_work();
        let there: Vec<usize> = (0..kinds.len()).filter(|kind| kinds[*kind]).collect();
        match there.get(chance.below(there.len()))? {
            0 => self.requests.pop_front().map(Step::Request),
            1 => {
                let at = chance.below(self.claims.len());
                Some(Step::Request(self.claims.swap_remove(at)))
            }
            2 => {
                let at = chance.below(self.answers.len());
                Some(Step::Answer(self.answers.swap_remove(at)))
            }
            _ => {
                let mut events = Vec::new();
                for _ in 0..=chance.below(3) {
                    events.extend(self.next_event(chance));
                }
                Some(Step::Events(self.observer.clone()?, events))
            }
        }
    }

    fn next_event(&mut self, chance: &mut Chance) -> Option<Event> {
        if self.events.is_empty() {
            return None;
        }
        let at = chance.below(self.events.len());
        let queue = &mut self.events[at].1;
        let event = queue.pop_front();
        if let Some(event) = &event
            && chance.percent(DOUBLED)
        {
            queue.push_back(event.clone());
        }
        if queue.is_empty() {
            self.events.swap_remove(at);
        }
        event
    }
}
