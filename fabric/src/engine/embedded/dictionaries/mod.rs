//! Dictionaries: the shard.
//!
//! Entries lie in the store under the order-preserving form of their keys, and nowhere else: a dictionary may be larger
//! than memory. Of each dictionary there are an id, an owner and a count in memory.

mod entry;
mod enumerate;
mod transaction;
mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use perper_proto::v1;
use perper_store::{Space, Store, WriteBatch};

use super::changes::Changes;
use super::shard::Shard;
use super::states::{Catalogue, Contents, ContentsRecord, Description, Kind, Overlay, Sweeps, Unpublished};
use crate::engine::{DictionaryRequest, Event, Identity, Outcome};

const KIND: Kind =
    Kind { space: Space::Dictionaries, noun: "dictionary", state_kind: v1::StateKind::Dictionary };

/// All dictionaries.
pub(super) struct Dictionaries {
    catalogue: Catalogue<Nothing>,
    entries: Overlay,
}

/// What a dictionary keeps in memory of its entries.
#[derive(Default)]
struct Nothing;

impl Contents for Nothing {
    fn save(&mut self, _: u64, _: &mut ContentsRecord, _: &mut WriteBatch) {}

    fn cleared(&self, _: u64) -> Self {
        Self
    }
}

impl Shard for Dictionaries {
    type Request = DictionaryRequest;
    type Unpublished = Unpublished;

    const NUMBER: u8 = 3;

    fn apply(
        &mut self,
        request: DictionaryRequest,
        identity: Option<Identity>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        self.catalogue.bury(changes.now);
        match request {
            DictionaryRequest::Create(request) => {
                let description =
                    Description::new(request.owner, request.indexed_fields, &request.capability);
                self.catalogue.create(request.dictionary, description, changes)?;
                Ok(None)
            }
            DictionaryRequest::Update(request) => self.update(request, changes),
            DictionaryRequest::Enumerate(request) => self.enumerate(&request),
            DictionaryRequest::Destroy(request) => {
                // Clients name their mutations; the Fabric itself, when an owner goes, does not.
                self.catalogue.destroy(&request.dictionary, identity.is_none(), changes)?;
                Ok(None)
            }
        }
    }

    fn settle(&mut self, changes: &mut Changes<Unpublished>) {
        self.catalogue.save(changes);
        changes.unpublished.extend(self.entries.end_run().map(Unpublished::Written));
    }

    fn publish(&mut self, unpublished: Vec<Unpublished>, _: &mut Vec<Event>) {
        for unpublished in unpublished {
            if let Some(run) = self.catalogue.publish(unpublished) {
                self.entries.durable(run);
            }
        }
    }
}

impl Dictionaries {
    /// Reads back what the store holds.
    pub(super) fn recover(
        store: Arc<dyn Store>,
        tombstone_ms: u64,
        sweeps: Sweeps,
    ) -> perper_store::Result<Self> {
        let mut catalogue = Catalogue::new(KIND, tombstone_ms, sweeps);
        catalogue.recover(&*store, |_, _| Ok(Nothing))?;
        Ok(Self { catalogue, entries: Overlay::new(store, KIND.space) })
    }

    pub(super) fn scan(&self, after: &str, limit: usize) -> Vec<v1::State> {
        self.catalogue.scan(after, limit)
    }

    pub(super) fn owned_by(&self, instance: &str) -> Vec<Arc<str>> {
        self.catalogue.owned_by(instance)
    }
}
