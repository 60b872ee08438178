//! A range over layers and a store.

use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;

use super::checkpoint::Layers;
use super::layer::Layer;
use crate::{Direction, Entries, Entry, KeyRange, Result, Space};

/// Changes that are read from a layer at once; between two such steps its lock is free.
const STEP: usize = 64;

/// The entries of a range, a layer's change of a key hiding what is below it.
pub(super) struct Merged {
    /// From the top.
    layers: Vec<Peekable<LayerRange>>,
    base: Peekable<Entries>,
    direction: Direction,
}

impl Merged {
    pub(super) fn new(
        layers: Layers,
        base: Entries,
        space: Space,
        range: &KeyRange,
        direction: Direction,
    ) -> Self {
        let layers = layers
            .into_layers()
            .map(|layer| {
                let range = range.clone();
                LayerRange { layer, space, range, direction, step: Vec::new().into_iter(), done: false }
                    .peekable()
            })
            .collect();
        Self { layers, base: base.peekable(), direction }
    }

    /// The key that comes next, in whatever source.
    fn next_key(&mut self) -> Option<Bytes> {
        let base = match self.base.peek() {
            Some(Ok((key, _))) => Some(key.clone()),
            _ => None,
        };
        let layers = self.layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| key.clone()));
        match self.direction {
            Direction::Forward => layers.chain(base).min(),
            Direction::Reverse => layers.chain(base).max(),
        }
    }
}

impl Iterator for Merged {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(Err(error)) = self.base.next_if(Result::is_err) {
                return Some(Err(error));
            }
            let key = self.next_key()?;
            let mut change = None;
            for layer in &mut self.layers {
                if let Some((_, value)) = layer.next_if(|(at, _)| *at == key) {
                    change.get_or_insert(value);
                }
            }
            let below = self.base.next_if(|entry| matches!(entry, Ok((at, _)) if *at == key));
            match (change, below) {
                (Some(Some(value)), _) => return Some(Ok((key, value))),
                (Some(None), _) => {}
                (None, below) => return below,
            }
        }
    }
}

/// The changes of one layer, read step by step.
struct LayerRange {
    layer: Arc<Layer>,
    space: Space,
    range: KeyRange,
    direction: Direction,
    step: vec::IntoIter<(Bytes, Option<Bytes>)>,
    done: bool,
}

impl Iterator for LayerRange {
    type Item = (Bytes, Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(change) = self.step.next() {
                return Some(change);
            }
            if self.done {
                return None;
            }
            let step = self.layer.step(self.space, &self.range, self.direction, STEP);
            self.done = step.len() < STEP;
            if let Some((last, _)) = step.last() {
                let bound = Bound::Excluded(last.clone());
                match self.direction {
                    Direction::Forward => self.range.start = bound,
                    Direction::Reverse => self.range.end = bound,
                }
            }
            self.step = step.into_iter();
        }
    }
}
