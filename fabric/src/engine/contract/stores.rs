use std::path::PathBuf;
use std::sync::Arc;

use perper_store::{Durability, HeadRoom, JournalOptions, JournaledStore, MemoryStore, Store};

use super::Data;
use crate::engine::{Clock, Embedded, EmbeddedOptions, Engine};

/// The embedded engine, a single server, on a store that outlives it.
pub(crate) struct OnStore {
    open: Box<dyn Fn() -> Arc<dyn Store>>,
    boots: u64,
    _folder: Option<tempfile::TempDir>,
}

impl OnStore {
    /// On memory, of which each boot gets what the one before left.
    pub(crate) fn memory() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self::with(Box::new(move || Arc::new(LeftOpen(Arc::<MemoryStore>::clone(&store)))), None)
    }

    /// On sled behind a journal.
    pub(crate) fn sled() -> Self {
        Self::in_folder(|path| {
            Arc::new(
                JournaledStore::sled(&path, Durability::Process, JournalOptions::default())
                    .expect("sled opens in an empty folder"),
            )
        })
    }

    /// On fjall behind a journal.
    pub(crate) fn fjall() -> Self {
        Self::in_folder(|path| {
            Arc::new(
                JournaledStore::fjall(&path, Durability::Process, JournalOptions::default())
                    .expect("fjall opens in an empty folder"),
            )
        })
    }

    fn in_folder(open: fn(PathBuf) -> Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = folder.path().to_owned();
        Self::with(Box::new(move || open(path.clone())), Some(folder))
    }

    fn with(open: Box<dyn Fn() -> Arc<dyn Store>>, folder: Option<tempfile::TempDir>) -> Self {
        Self { open, boots: 0, _folder: folder }
    }
}

impl Data for OnStore {
    fn boot(&mut self) -> Vec<Arc<dyn Engine>> {
        self.boots += 1;
        vec![embedded((self.open)(), self.boots)]
    }
}

/// The embedded engine on a store, with the limits that the scenarios count on.
pub(crate) fn embedded(store: Arc<dyn Store>, boot_epoch: u64) -> Arc<Embedded> {
    embedded_on(store, None, boot_epoch)
}

/// The same, on a disk whose free space is watched.
pub(crate) fn embedded_on(
    store: Arc<dyn Store>,
    head_room: Option<HeadRoom>,
    boot_epoch: u64,
) -> Arc<Embedded> {
    let options = EmbeddedOptions {
        cluster_id: 1,
        boot_epoch,
        attempts: 16,
        tombstone_ms: 600_000,
        unheard_items: 1_000,
        unheard_bytes: u64::MAX,
        value_bytes: 1 << 20,
        tail_cache_bytes: 1 << 20,
    };
    Embedded::open(store, head_room, Clock::start(), &options).expect("the engine opens")
}

/// A store that stays open when its engine closes, as a disk stays when its server goes.
pub(crate) struct LeftOpen(pub(crate) Arc<MemoryStore>);

impl Store for LeftOpen {
    fn commit(&self, group: &[perper_store::WriteBatch]) -> perper_store::Result<()> {
        self.0.commit(group)
    }

    fn may_wait(&self) -> bool {
        self.0.may_wait()
    }

    fn get(&self, space: perper_store::Space, key: &[u8]) -> perper_store::Result<Option<bytes::Bytes>> {
        self.0.get(space, key)
    }

    fn range(
        &self,
        space: perper_store::Space,
        range: perper_store::KeyRange,
        direction: perper_store::Direction,
    ) -> perper_store::Entries {
        self.0.range(space, range, direction)
    }

    fn disk_usage(&self) -> perper_store::Result<u64> {
        self.0.disk_usage()
    }

    fn close(&self) -> perper_store::Result<()> {
        Ok(())
    }

    fn kind(&self) -> perper_store::StoreKind {
        self.0.kind()
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }
}
