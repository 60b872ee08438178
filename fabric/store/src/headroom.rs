//! The free space of the disk.
//!
//! A store whose write fails for want of space takes no more writes, not even the deletes that would make room. So the
//! space is looked at before, and a part of it held back.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, ErrorKind, Result};

/// Bytes that may be written between two looks at the disk.
const LOOK_AFTER_BYTES: u64 = 64 * 1024 * 1024;

/// The longest time between two looks while something is written: others write to the same disk.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Tells the bytes that are free.
type Probe = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Watches that a reserve of the disk stays free for writes that free some.
pub struct HeadRoom {
    probe: Probe,
    reserve: u64,
    /// What may still be written before the next look; at or below zero it is time for one.
    budget: AtomicI64,
    full: AtomicBool,
    looked: Mutex<Instant>,
}

impl fmt::Debug for HeadRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadRoom")
            .field("reserve", &self.reserve)
            .field("full", &self.full)
            .finish_non_exhaustive()
    }
}

impl HeadRoom {
    /// A sensible reserve. When writes are turned away, two files of a journal may still grow to 32 MiB each, what they hold
    /// is then written to the store, and stores rewrite more than they are given: small values in random order took up
    /// 64 MiB with sled and 128 MiB with fjall, which then took no writes any more.
    pub const DEFAULT_RESERVE: u64 = 512 << 20;

    /// Watches the disk of a folder, on which `reserve` bytes are held back.
    pub fn of_folder(path: &Path, reserve: u64) -> Result<Self> {
        let path = path.to_owned();
        Self::with_probe(reserve, move || fs4::available_space(&path))
    }

    /// Watches whatever `probe` says is free.
    pub fn with_probe(
        reserve: u64,
        probe: impl Fn() -> io::Result<u64> + Send + Sync + 'static,
    ) -> Result<Self> {
        let head_room = Self {
            probe: Box::new(probe),
            reserve,
            budget: AtomicI64::new(0),
            full: AtomicBool::new(false),
            looked: Mutex::new(Instant::now()),
        };
        head_room.look()?;
        Ok(head_room)
    }

    /// Bytes that are held back.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Whether writes that take up space are welcome. While they are not, each call looks at the disk again.
    pub fn has_head_room(&self) -> bool {
        if self.full.load(Ordering::Acquire) {
            // A disk that cannot be asked is treated as it was.
            return self.look().is_ok_and(|()| !self.full.load(Ordering::Acquire));
        }
        true
    }

    /// Refuses, if writes that take up space are not welcome.
    pub fn check(&self) -> Result<()> {
        if self.has_head_room() {
            return Ok(());
        }
        let message = format!(
            "the disk is full: no more than the {} MiB that are held back for deletes and completions are free; \
             make room, or lower the reserve (disk-reserve)",
            self.reserve >> 20
        );
        Err(Error::new(ErrorKind::DiskFull, message))
    }

    /// Takes note that so many bytes are about to be written.
    pub(crate) fn spend(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let left = self.budget.fetch_sub(bytes, Ordering::AcqRel).saturating_sub(bytes);
        let stale = || self.looked.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= LOOK_AFTER;
        if (left <= 0 || stale())
            && let Err(error) = self.look()
        {
            tracing::warn!(%error, "the free space of the disk is unknown");
        }
    }

    fn look(&self) -> Result<()> {
        let free =
            (self.probe)().map_err(|error| Error::io("asking for the free space of the disk", &error))?;
        let above = free.saturating_sub(self.reserve);
        // Stores write a thing more than once, so half of what is there is no more than a reason to look again.
        let budget = (above / 2).min(LOOK_AFTER_BYTES);
        self.budget.store(i64::try_from(budget).unwrap_or(i64::MAX), Ordering::Release);
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let was = self.full.swap(above == 0, Ordering::AcqRel);
        match (was, above == 0) {
            (false, true) => {
                tracing::error!(
                    free,
                    reserve = self.reserve,
                    "the disk is full but for a reserve: what can wait is turned away"
                )
            }
            (true, false) => tracing::info!(free, reserve = self.reserve, "the disk has room again"),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn watched(reserve: u64, free: u64) -> (HeadRoom, Arc<AtomicU64>) {
        let disk = Arc::new(AtomicU64::new(free));
        let probe = Arc::clone(&disk);
        let head_room = HeadRoom::with_probe(reserve, move || Ok(probe.load(Ordering::SeqCst)));
        (head_room.expect("the probe answers"), disk)
    }

    #[test]
    fn a_disk_that_fills_up_is_noticed_by_what_is_written_and_one_that_empties_at_once() {
        let (head_room, disk) = watched(100, 1_100);
        assert!(head_room.has_head_room());
        disk.store(90, Ordering::SeqCst);
        assert!(head_room.has_head_room(), "nothing was written since the last look");
        head_room.spend(500);
        assert!(!head_room.has_head_room());
        assert_eq!(head_room.check().map_err(|error| error.kind()), Err(ErrorKind::DiskFull));
        disk.store(101, Ordering::SeqCst);
        assert!(head_room.has_head_room());
    }

    #[test]
    fn a_real_folder_is_asked() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        assert!(HeadRoom::of_folder(folder.path(), 0).expect("a disk").has_head_room());
        assert!(!HeadRoom::of_folder(folder.path(), u64::MAX).expect("a disk").has_head_room());
    }
}
