use perper_proto::v1;

/// Entries of a page, if the request does not say.
const DEFAULT_ENTRIES: usize = 256;

/// Entries that a page never exceeds.
const MAX_ENTRIES: usize = 4096;

/// Bytes after which a page ends early: it is put together under the shard's lock, and must fit into a message.
const MAX_BYTES: usize = 1024 * 1024;

/// Room on the page that is being put together.
pub(in crate::engine::embedded) struct Page {
    entries: usize,
    bytes: usize,
    begun: bool,
}

impl Page {
    pub(in crate::engine::embedded) fn new(page: Option<&v1::Page>) -> Self {
        let entries = match page.map_or(0, |page| page.size as usize) {
            0 => DEFAULT_ENTRIES,
            size => size.min(MAX_ENTRIES),
        };
        Self { entries, bytes: MAX_BYTES, begun: false }
    }

    /// Whether an entry of so many bytes still goes onto it; the first one always does.
    pub(in crate::engine::embedded) fn takes(&mut self, bytes: usize) -> bool {
        if self.begun && (self.entries == 0 || self.bytes < bytes) {
            return false;
        }
        self.begun = true;
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}
