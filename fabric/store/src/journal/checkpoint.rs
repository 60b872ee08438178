//! How changes get from memory to the store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use super::files::{self, JournalFile};
use super::layer::{Layer, Spaces};
use crate::base::Base;
use crate::{Error, KeyRange, Op, Result, Space, WriteBatch};

/// Bytes that the store is given at once.
const BATCH_BYTES: usize = 1 << 20;

/// The layers over a store at one moment.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    active: Arc<Layer>,
    frozen: Option<Arc<Layer>>,
}

impl Layers {
    /// The layers, top first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Layer>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    pub(super) fn into_layers(self) -> impl Iterator<Item = Arc<Layer>> {
        std::iter::once(self.active).chain(self.frozen)
    }
}

/// The store, the layers over it, and the work of writing the lower one down.
pub(super) struct Checkpoints {
    folder: PathBuf,
    base: Box<dyn Base>,
    layers: RwLock<Layers>,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
struct Work {
    /// The files whose changes the frozen layer has.
    files: Vec<PathBuf>,
    /// The file among them that is not known to be on the disk.
    unsynced: Option<JournalFile>,
    bytes: u64,
    due: bool,
    stopping: bool,
    failure: Option<Error>,
}

impl Checkpoints {
    pub(super) fn new(folder: &Path, base: Box<dyn Base>) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.to_owned(),
            base,
            layers: RwLock::new(Layers { active: Arc::default(), frozen: None }),
            work: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn base(&self) -> &dyn Base {
        &*self.base
    }

    pub(super) fn layers(&self) -> Layers {
        self.layers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the active layer by a group that the journal has.
    pub(super) fn apply_group(&self, group: &[WriteBatch]) -> Result<()> {
        let layers = self.layers();
        layers.active.change(|spaces| {
            group
                .iter()
                .flat_map(WriteBatch::iter)
                .try_for_each(|op| self.apply(spaces, layers.frozen.as_deref(), op))
        })
    }

    /// Changes a layer that lies right over the store.
    pub(super) fn apply_over_base(&self, layer: &Layer, op: Op<'_>) -> Result<()> {
        layer.change(|spaces| self.apply(spaces, None, op))
    }

    fn apply(&self, spaces: &mut Spaces, frozen: Option<&Layer>, op: Op<'_>) -> Result<()> {
        match op {
            Op::Put { space, key, value, new } => spaces.put(space, key, value.to_bytes(), new),
            Op::Delete { space, key } => spaces.delete(space, key),
            Op::DeleteRange { space, start, end } if start < end => {
                spaces.delete_range(space, start, end);
                if let Some(frozen) = frozen {
                    let range = KeyRange::new::<&[u8]>(start..end);
                    for (key, change) in frozen.read().changes(space).range::<[u8], _>(range.as_slices()) {
                        if change.value.is_some() {
                            spaces.delete_below(space, key);
                        }
                    }
                }
                for key in self.base.keys(space, start, end) {
                    spaces.delete_below(space, &key?);
                }
            }
            Op::DeleteRange { .. } => {}
        }
        Ok(())
    }

    /// Takes up what a start found.
    pub(super) fn resume(&self, layer: Layer, files: Vec<PathBuf>) {
        if files.is_empty() {
            return;
        }
        self.layers.write().unwrap_or_else(PoisonError::into_inner).frozen = Some(Arc::new(layer));
        let mut work = self.work();
        work.files = files;
        work.due = true;
    }

    /// Freezes the active layer, whose changes are in `file`. There must be no frozen one.
    pub(super) fn freeze(&self, file: JournalFile) {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        layers.frozen = Some(std::mem::take(&mut layers.active));
        drop(layers);
        let mut work = self.work();
        work.bytes = file.size();
        work.unsynced = Some(file);
        work.due = true;
        self.changed.notify_all();
    }

    pub(super) fn frozen_bytes(&self) -> u64 {
        self.work().bytes
    }

    /// Whether a layer may be frozen.
    pub(super) fn is_idle(&self) -> bool {
        !self.work().due
    }

    pub(super) fn wait_until_idle(&self) -> Result<()> {
        let work = self.work();
        let waiting = |work: &mut Work| work.due && work.failure.is_none() && !work.stopping;
        let work = self.changed.wait_while(work, waiting).unwrap_or_else(PoisonError::into_inner);
        work.failure.clone().map_or(Ok(()), Err)
    }

    /// The error that ended the checkpoints, if there was one.
    pub(super) fn check(&self) -> Result<()> {
        self.work().failure.clone().map_or(Ok(()), Err)
    }

    pub(super) fn stop(&self) {
        self.work().stopping = true;
        self.changed.notify_all();
    }

    /// Writes down each layer that is frozen, until it is stopped or fails.
    pub(super) fn run(&self) {
        loop {
            let waiting = |work: &mut Work| !work.due && !work.stopping;
            let mut work =
                self.changed.wait_while(self.work(), waiting).unwrap_or_else(PoisonError::into_inner);
            if work.stopping {
                return;
            }
            let unsynced = work.unsynced.take();
            drop(work);
            let result = self.write_down(unsynced);
            let mut work = self.work();
            match result {
                Ok(true) => {
                    work.due = false;
                    work.bytes = 0;
                }
                // Stopped half-way; the journal has it all.
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "a checkpoint failed, nothing is written any more");
                    work.failure = Some(error);
                }
            }
            let failed = work.failure.is_some();
            drop(work);
            self.changed.notify_all();
            if failed {
                return;
            }
        }
    }

    /// Brings the frozen layer to the store, and forgets it and its files.
    fn write_down(&self, unsynced: Option<JournalFile>) -> Result<bool> {
        let start = Instant::now();
        if let Some(file) = unsynced {
            // Else a loss of power could leave the store with half a group whose record is gone.
            file.sync()?;
            self.work().files.push(file.into_path());
        }
        let Some(layer) = self.layers().frozen else { return Ok(true) };
        let spaces = layer.read();
        let mut changes = 0_u64;
        if !spaces.is_empty() {
            let mut batch = WriteBatch::new();
            for space in Space::ALL {
                for (key, change) in spaces.changes(space) {
                    match &change.value {
                        Some(value) => batch.put(space, key, value.clone()),
                        None => batch.delete(space, key),
                    }
                    changes += 1;
                    if batch.size() >= BATCH_BYTES {
                        if self.work().stopping {
                            return Ok(false);
                        }
                        self.base.commit(&[std::mem::take(&mut batch)])?;
                    }
                }
            }
            self.base.commit(&[batch])?;
            self.base.sync()?;
        }
        drop(spaces);
        let files = std::mem::take(&mut self.work().files);
        files::remove(&files)?;
        // Last, so that no reader finds a change neither here nor there.
        self.layers.write().unwrap_or_else(PoisonError::into_inner).frozen = None;
        tracing::debug!(changes, elapsed = ?start.elapsed(), "wrote a checkpoint");
        Ok(true)
    }
}
