//! What lies under the journal.

use bytes::Bytes;

use crate::{Result, Space, Store};

/// A store that is written to in the background, from what the journal holds already.
///
/// Its commits need not be durable, nor atomic when they are cut short: what was not followed by [`Base::sync`] is
/// written once more.
pub(crate) trait Base: Store {
    /// Brings all commits so far to the disk.
    fn sync(&self) -> Result<()>;

    /// The keys from `start` up to and without `end`, without reading their values.
    fn keys(&self, space: Space, start: &[u8], end: &[u8]) -> Box<dyn Iterator<Item = Result<Bytes>> + Send>;
}
