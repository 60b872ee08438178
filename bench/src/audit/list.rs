use std::collections::VecDeque;

use bytes::Bytes;
use perper::protocol::{Fabric, ListOperation, ListResult, Reply};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    load::Load,
    model::{ListGiven, ListModel, ListStep},
    tally::{Found, Kind},
};

/// Operations on their way at a time.
const IN_FLIGHT: usize = 8;
/// How many operations come between two readings of everything.
const ROUND: u64 = 200;
/// About how long the list gets.
const LENGTH: usize = 300;

/// A list that only this load changes, and what must be in it.
pub(super) struct List {
    load: Load,
    fabric: Fabric,
    id: String,
    model: ListModel,
    random: StdRng,
    /// Every element is another one, so that one that comes twice is known.
    next_value: u64,
    replies: VecDeque<(Reply<ListResult>, ListStep, ListGiven)>,
}

impl List {
    pub(super) async fn start(load: Load) -> Result<Self, Found> {
        let fabric = load.connect().await?;
        let id = fabric.new_id();
        load.ok(fabric.create_list(&id, None, Bytes::new()), "creating a list").await?;
        let random = StdRng::seed_from_u64(load.seed);
        let model = ListModel::default();
        Ok(List { load, fabric, id, model, random, next_value: 0, replies: VecDeque::new() })
    }

    /// Changes it until told to stop; all is answered then.
    pub(super) async fn run(&mut self) -> Result<(), Found> {
        let mut operations = 0;
        while !self.load.stopped() {
            self.request()?;
            if self.replies.len() >= IN_FLIGHT {
                self.settle_one().await?;
            }
            operations += 1;
            if operations % ROUND == 0 {
                self.verify().await?;
            }
        }
        self.settle().await
    }

    /// Reads everything back.
    pub(super) async fn verify(&mut self) -> Result<(), Found> {
        // Reads keep no outcome: after a crash they may see what was asked for after them, so nothing may be on its way.
        self.settle().await?;
        let mut elements = VecDeque::new();
        let mut token = Bytes::new();
        loop {
            let page =
                self.load.ok(self.fabric.enumerate_list(&self.id, 64, token), "enumerating a list").await?;
            for value in page.values {
                elements.push_back(self.load.read(&value, "a list's element")?);
            }
            token = page.next;
            if token.is_empty() {
                break;
            }
        }
        if elements != self.model.elements {
            let expected = &self.model.elements;
            let text = format!("list {} has {elements:?} instead of {expected:?}", self.id);
            let tally = self.load.tally();
            return Err(if elements.len() > expected.len() {
                tally.duplicated(text)
            } else if elements.len() < expected.len() {
                tally.lost(text)
            } else {
                tally.wrong(text)
            });
        }
        Ok(())
    }

    fn request(&mut self) -> Result<(), Found> {
        let step = self.step();
        let value = |number: u64| self.load.value(&number);
        let operation = match step {
            ListStep::Add(element) => ListOperation::Add(value(element)?),
            ListStep::Pop => ListOperation::Pop,
            ListStep::Dequeue => ListOperation::Dequeue,
            ListStep::InsertAt(index, element) => ListOperation::InsertAt(index, value(element)?),
            ListStep::RemoveAt(index) => ListOperation::RemoveAt(index),
            ListStep::SetAt(index, element) => ListOperation::SetAt(index, value(element)?),
            ListStep::Remove(element) => ListOperation::Remove(value(element)?),
            ListStep::Clear => ListOperation::Clear,
        };
        let given = self.model.update(&step);
        self.replies.push_back((self.fabric.update_list(&self.id, operation), step, given));
        Ok(())
    }

    fn step(&mut self) -> ListStep {
        let length = self.model.elements.len();
        self.next_value += 1;
        let element = self.next_value;
        if length == 0 {
            return if self.random.random_bool(0.2) { ListStep::Pop } else { ListStep::Add(element) };
        }
        let index = self.random.random_range(0..length);
        let present = self.model.elements[index];
        let index = index as u64;
        if self.random.random_range(0..2_000) == 0 {
            return ListStep::Clear;
        }
        if self.random.random_range(0..2 * LENGTH) >= length {
            return match self.random.random_range(0..3) {
                0 => ListStep::InsertAt(index, element),
                1 => ListStep::SetAt(index, element),
                _ => ListStep::Add(element),
            };
        }
        match self.random.random_range(0..4) {
            0 => ListStep::Pop,
            1 => ListStep::Dequeue,
            2 => ListStep::RemoveAt(index),
            _ => ListStep::Remove(present),
        }
    }

    async fn settle(&mut self) -> Result<(), Found> {
        while !self.replies.is_empty() {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), Found> {
        let Some((reply, step, given)) = self.replies.pop_front() else { return Ok(()) };
        let result = self.load.ok(reply, "updating a list").await?;
        let value = result.value.map(|value| self.load.read(&value, "a list's element")).transpose()?;
        let came: ListGiven = (value, result.index, result.count, result.found);
        if came != given {
            let text = format!("list {}: {step:?} gave {came:?} instead of {given:?}", self.id);
            return Err(self.load.tally().wrong(text));
        }
        self.load.tally().acknowledge(Kind::List);
        Ok(())
    }
}
