use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use perper::protocol::{DictionaryOperation, DictionaryUpdate, Fabric, Reply};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    load::Load,
    model::{DictionaryModel, DictionaryStep, Given},
    tally::{Found, Kind},
};

/// Few, so that operations meet.
const KEYS: u64 = 32;
/// Updates on their way at a time.
const IN_FLIGHT: usize = 8;
/// How many updates come between two readings of everything.
const ROUND: u64 = 200;

/// A dictionary that only this load changes, and what must be in it.
pub(super) struct Dictionary {
    load: Load,
    fabric: Fabric,
    id: String,
    model: DictionaryModel,
    random: StdRng,
    /// Every value is another one, so that a value that comes twice is known.
    next_value: u64,
    replies: VecDeque<Expected>,
}

struct Expected {
    reply: Reply<DictionaryUpdate>,
    steps: Vec<DictionaryStep>,
    given: Result<Vec<Given>, usize>,
}

impl Dictionary {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let fabric = load.connect().await?;
        let id = fabric.new_id();
        let created = fabric.create_dictionary(&id, None, Vec::new(), Bytes::new());
        load.ok(created, "creating a dictionary").await?;
        let random = StdRng::seed_from_u64(load.seed);
        let model = DictionaryModel::default();
        Ok(Dictionary { load, fabric, id, model, random, next_value: 1, replies: VecDeque::new() })
    }

    /// Changes it until told to stop; all is answered then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let mut updates = 0;
        while !self.load.stopped() {
            self.request()?;
            if self.replies.len() >= IN_FLIGHT {
                self.settle_one().await?;
            }
            updates += 1;
            if updates % ROUND == 0 {
                self.verify().await?;
            }
        }
        self.settle().await
    }

    /// Reads everything back.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        // Reads keep no outcome: after a crash they may see what was asked for after them, so nothing may be on its way.
        self.settle().await?;
        let mut entries = BTreeMap::new();
        let mut token = Bytes::new();
        loop {
            let page = self.fabric.enumerate_dictionary(&self.id, false, 10, token);
            let page = self.load.ok(page, "enumerating a dictionary").await?;
            for (key, value) in page.entries {
                let key = self.load.read(&key, "a dictionary's key")?;
                let value: u64 = self.load.read(&value, "a dictionary's value")?;
                if entries.insert(key, value).is_some() {
                    let text = format!("key {key} comes twice in the enumeration of dictionary {}", self.id);
                    return Err(self.load.tally().duplicated(text));
                }
            }
            token = page.next;
            if token.is_empty() {
                break;
            }
        }
        if entries != self.model.entries {
            let expected = &self.model.entries;
            let lost = expected.keys().any(|key| !entries.contains_key(key));
            let text = format!("dictionary {} has {entries:?} instead of {expected:?}", self.id);
            let tally = self.load.tally();
            return Err(if lost { tally.lost(text) } else { tally.wrong(text) });
        }
        Ok(())
    }

    fn request(&mut self) -> Result<(), Found> {
        let count = if self.random.random_bool(0.7) { 1 } else { self.random.random_range(2..6) };
        let mut steps: Vec<_> = (0..count).map(|_| self.step()).collect();
        // A request of reads alone is a read, without an outcome that is kept.
        let key = self.random.random_range(0..KEYS);
        steps.push(DictionaryStep::Set(key, self.new_value()));
        let operations = steps.iter().map(|step| self.operation(step)).collect::<Result<_, _>>()?;
        let given = self.model.update(&steps);
        let reply = self.fabric.update_dictionary(&self.id, operations);
        self.replies.push_back(Expected { reply, steps, given });
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Found> {
        while !self.replies.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), Found> {
        let Some(Expected { reply, steps, given }) = self.replies.pop_front() else { return Ok(()) };
        let update = self.load.ok(reply, "updating a dictionary").await?;
        let came = match update.failed_operation {
            Some(index) => Err(index),
            None => {
                let results = update.results.into_iter().map(|result| {
                    let value = result.value.map(|value| self.load.read(&value, "a dictionary's value"));
                    Ok((value.transpose()?, result.applied, result.count))
                });
                Ok(results.collect::<Result<Vec<Given>, Found>>()?)
            }
        };
        if came != given {
            let text = format!("dictionary {}: {steps:?} gave {came:?} instead of {given:?}", self.id);
            return Err(self.load.tally().wrong(text));
        }
        self.load.tally().acknowledge(Kind::Dictionary);
        Ok(())
    }

    fn new_value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    fn step(&mut self) -> DictionaryStep {
        use DictionaryStep as D;
        let key = self.random.random_range(0..KEYS);
        // Mostly what is there, so that conditions hold.
        let expected = match self.model.entries.get(&key) {
            Some(value) if self.random.random_bool(0.9) => *value,
            _ => 0,
        };
        match self.random.random_range(0..100) {
            0..30 => D::Set(key, self.new_value()),
            30..40 => D::SetIfAbsent(key, self.new_value()),
            40..55 => D::ReplaceIfEqual(key, expected, self.new_value()),
            55..65 => D::GetAndReplace(key, self.new_value()),
            65..72 => D::GetAndRemove(key),
            72..79 => D::Remove(key),
            79..84 => D::RemoveIfEqual(key, expected),
            84..90 => D::Get(key),
            90..95 => D::Contains(key),
            95..99 => D::Count,
            _ => D::Clear,
        }
    }

    fn operation(&self, step: &DictionaryStep) -> Result<DictionaryOperation, Found> {
        use {DictionaryOperation as O, DictionaryStep as D};
        let value = |number: u64| self.load.value(&number);
        Ok(match *step {
            D::Get(key) => O::Get { key: value(key)? },
            D::Set(key, new) => O::Set { key: value(key)?, value: value(new)? },
            D::SetIfAbsent(key, new) => O::SetIfAbsent { key: value(key)?, value: value(new)? },
            D::ReplaceIfEqual(key, expected, new) => {
                O::ReplaceIfEqual { key: value(key)?, expected: value(expected)?, value: value(new)? }
            }
            D::GetAndReplace(key, new) => O::GetAndReplace { key: value(key)?, value: value(new)? },
            D::GetAndRemove(key) => O::GetAndRemove { key: value(key)? },
            D::Remove(key) => O::Remove { key: value(key)? },
            D::RemoveIfEqual(key, expected) => {
                O::RemoveIfEqual { key: value(key)?, expected: value(expected)? }
            }
            D::Contains(key) => O::Contains { key: value(key)? },
            D::Count => O::Count,
            D::Clear => O::Clear,
        })
    }
}
