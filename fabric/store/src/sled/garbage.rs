//! What sled has replaced and not freed.
//!
//! sled never changes a page in place: it puts another one there, and the former is garbage until no thread can be
//! reading it. So are the buffers of its log, a segment each. Freeing is left to `crossbeam-epoch`, which by itself frees
//! some of it at every 128th operation of a thread. But a batch is one operation, however many pages it replaces, and
//! buffers wait behind pages: written in batches, sled would keep in memory about as much as was ever written, and free it
//! five seconds at a time.
//!
//! sled shares the collector that `crossbeam_epoch::pin` enters, so whoever writes frees what it left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps of the collector after one batch. A step frees up to 512 pages, and a batch of the journal replaces some
/// thousands. It is left in peace as long as some thread reads; the next batch makes up for that.
const STEPS: usize = 64;

/// Frees what was garbage before, as far as nobody reads it. Says whether all of it is gone.
pub(super) fn free() -> bool {
    let freed = Arc::new(AtomicBool::new(false));
    // Garbage is freed in the order in which it was queued: after this, there is none of this thread's from before.
    let last = Arc::clone(&freed);
    crossbeam_epoch::pin().defer(move || last.store(true, Ordering::Relaxed));
    (0..STEPS).any(|_| {
        crossbeam_epoch::pin().flush();
        freed.load(Ordering::Relaxed)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    struct Garbage(Arc<AtomicBool>);

    impl Drop for Garbage {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_nobody_reads_any_more_is_freed() {
        let dropped = Arc::new(AtomicBool::new(false));
        let garbage = Garbage(Arc::clone(&dropped));
        let reading = crossbeam_epoch::pin();
        reading.defer(move || drop(garbage));
        // Of another thread, since a thread within a guard waits for itself.
        let free_elsewhere = || std::thread::spawn(free).join().unwrap();
        assert!(!free_elsewhere(), "somebody may be reading what was freed");
        assert!(!dropped.load(Ordering::Relaxed));
        drop(reading);
        // Other tests read, too, but not for long.
        let begun = Instant::now();
        while !(free() && dropped.load(Ordering::Relaxed)) {
            assert!(begun.elapsed() < Duration::from_secs(30), "what nobody reads stays in memory");
        }
    }
}
