//! How changes get from memory to the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use super::files::{self, JournalFile};
use super::layer::{Layer, Spaces};
use super::merge::Merged;
use crate::base::Base;
use crate::{Direction, Entries, Error, KeyRange, Op, Result, Space, WriteBatch};

/// Changes that are looked at under one lock of the active layer, which holds up commits.
const LOOK_AHEAD: usize = 64;

/// Bytes that the store is given at once.
const BATCH_BYTES: usize = 128 << 10;

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
pub(crate) struct Checkpoints {
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
    /// The file that the active layer's changes are in.
    active: Option<File>,
    bytes: u64,
    due: bool,
    /// The store is written to.
    begun: bool,
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

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn base(&self) -> &dyn Base {
        &*self.base
    }

    /// The entries of a range, in the layers and the store.
    pub(crate) fn range(&self, space: Space, range: KeyRange, direction: Direction) -> Entries {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        // The layers first: what leaves a layer later is in the store by then.
        let layers = self.layers();
        let base = self.base.range(space, range.clone(), direction);
        Box::new(Merged::new(layers, base, space, &range, direction))
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
    pub(super) fn resume(&self, layer: Layer, files: Vec<PathBuf>, active: &JournalFile) -> Result<()> {
        self.work().active = Some(active.handle()?);
        if files.is_empty() {
            return Ok(());
        }
        self.layers.write().unwrap_or_else(PoisonError::into_inner).frozen = Some(Arc::new(layer));
        let mut work = self.work();
        work.files = files;
        work.due = true;
        Ok(())
    }

    /// Lets what a start found be written down. Whoever starts reads everything first, and would wait for it.
    pub(super) fn begin(&self) {
        self.work().begun = true;
        self.changed.notify_all();
    }

    /// Freezes the active layer, whose changes are in `file`; those of the next one are in `active`. There must be no
    /// frozen one.
    pub(super) fn freeze(&self, file: JournalFile, active: File) {
        let mut layers = self.layers.write().unwrap_or_else(PoisonError::into_inner);
        layers.frozen = Some(std::mem::take(&mut layers.active));
        drop(layers);
        let mut work = self.work();
        work.bytes = file.size();
        work.unsynced = Some(file);
        work.active = Some(active);
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
            let waiting = |work: &mut Work| {
                let ready = work.due && work.begun;
                !ready && !work.stopping
            };
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
        let Layers { active, frozen: Some(layer) } = self.layers() else { return Ok(true) };
        let spaces = layer.read();
        let (mut changes, mut superseded) = (0_u64, 0_u64);
        if !spaces.is_empty() {
            let mut batch = WriteBatch::new();
            for space in Space::ALL {
                let mut rest = spaces.changes(space).iter().map(|(key, change)| (&**key, change));
                loop {
                    let mut next: Vec<_> = rest.by_ref().take(LOOK_AHEAD).collect();
                    if next.is_empty() {
                        break;
                    }
                    let count = next.len();
                    // What has changed again by now, as items of a stream that have been read, the store never hears of:
                    // the active layer has the last word on it, and its file tells so after a crash.
                    active.read().retain_unchanged(space, &mut next);
                    superseded += (count - next.len()) as u64;
                    changes += next.len() as u64;
                    for (key, change) in next {
                        match &change.value {
                            Some(value) => batch.put(space, key, value.clone()),
                            None => batch.delete(space, key),
                        }
                        if batch.size() >= BATCH_BYTES {
                            if self.work().stopping {
                                return Ok(false);
                            }
                            self.base.commit(&[std::mem::take(&mut batch)])?;
                        }
                    }
                }
            }
            self.base.commit(&[batch])?;
            self.base.sync()?;
        }
        drop(spaces);
        if superseded > 0 {
            // Else a loss of power could leave neither the former change nor the one that superseded it.
            let active = self.work().active.as_ref().map(File::try_clone).transpose();
            let synced = active.and_then(|active| active.map_or(Ok(()), |active| active.sync_data()));
            synced.map_err(|error| Error::io("flushing the journal", &error))?;
        }
        let files = std::mem::take(&mut self.work().files);
        files::remove(&files)?;
        // Last, so that no reader finds a change neither here nor there.
        self.layers.write().unwrap_or_else(PoisonError::into_inner).frozen = None;
        tracing::debug!(changes, superseded, elapsed = ?start.elapsed(), "wrote a checkpoint");
        Ok(true)
    }
}
