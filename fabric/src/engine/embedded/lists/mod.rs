//! Lists: the shard.
//!
//! Elements lie in the store, each under a number of its own that never changes; their order is a [`Directory`], in
//! memory and, chunk by chunk, in the store. So no operation moves an element, and what a change writes does not depend
//! on the length of the list.
//!
//! [`Directory`]: self::directory::Directory

mod chunk;
mod directory;
mod enumerate;
mod search;
mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use perper_proto::v1;
use perper_store::{Space, Store};

use self::directory::Directory;
use super::changes::Changes;
use super::shard::Shard;
use super::states::{Catalogue, Description, Kind, Overlay, Sweeps, Unpublished};
use crate::engine::{Event, Identity, ListRequest, Outcome};

const KIND: Kind = Kind { space: Space::Lists, noun: "list", state_kind: v1::StateKind::List };

/// All lists.
pub(super) struct Lists {
    catalogue: Catalogue<Directory>,
    elements: Overlay,
}

impl Shard for Lists {
    type Request = ListRequest;
    type Unpublished = Unpublished;

    const NUMBER: u8 = 4;

    fn apply(
        &mut self,
        request: ListRequest,
        identity: Option<Identity>,
        changes: &mut Changes<Unpublished>,
    ) -> Outcome {
        self.catalogue.bury(changes.now);
        match request {
            ListRequest::Create(request) => {
                let description = Description::new(request.owner, Vec::new(), &request.capability);
                self.catalogue.create(request.list, description, changes)?;
                Ok(None)
            }
            ListRequest::Update(request) => self.update(request, changes),
            ListRequest::Enumerate(request) => self.enumerate(&request),
            ListRequest::Destroy(request) => {
                // Clients name their mutations; the Fabric itself, when an owner goes, does not.
                self.catalogue.destroy(&request.list, identity.is_none(), changes)?;
                Ok(None)
            }
        }
    }

    fn settle(&mut self, changes: &mut Changes<Unpublished>) {
        self.catalogue.save(changes);
        changes.unpublished.extend(self.elements.end_run().map(Unpublished::Written));
    }

    fn publish(&mut self, unpublished: Vec<Unpublished>, _: &mut Vec<Event>) {
        for unpublished in unpublished {
            if let Some(run) = self.catalogue.publish(unpublished) {
                self.elements.durable(run);
            }
        }
    }
}

impl Lists {
    /// Reads back what the store holds.
    pub(super) fn recover(
        store: Arc<dyn Store>,
        tombstone_ms: u64,
        sweeps: Sweeps,
    ) -> perper_store::Result<Self> {
        let mut catalogue = Catalogue::new(KIND, tombstone_ms, sweeps);
        catalogue.recover(&*store, Directory::restore)?;
        Ok(Self { catalogue, elements: Overlay::new(store, KIND.space) })
    }

    pub(super) fn scan(&self, after: &str, limit: usize) -> Vec<v1::State> {
        self.catalogue.scan(after, limit)
    }

    pub(super) fn owned_by(&self, instance: &str) -> Vec<Arc<str>> {
        self.catalogue.owned_by(instance)
    }
}
