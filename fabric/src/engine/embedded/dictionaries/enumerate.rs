use bytes::Bytes;
use perper_proto::{Reason, v1};
use v1::response::Response;

use super::{Dictionaries, entry};
use crate::engine::Outcome;
use crate::engine::embedded::states::{Page, entry_key};

impl Dictionaries {
    /// A page in order of keys. The token is the ordered form of the last key, so it outlives everything but the
    /// dictionary: whatever happens meanwhile, the next page goes on behind that key.
    pub(super) fn enumerate(&self, request: &v1::EnumerateDictionaryRequest) -> Outcome {
        let state = self.catalogue.get(&request.dictionary)?;
        let after = request.page.as_ref().map_or(&[][..], |page| &page.token);
        if after.len() > perper_store::MAX_KEY_BYTES {
            return Err(Reason::InvalidArgument.error(format!(
                "the page token has {} bytes, so no enumeration gave it: begin anew without one",
                after.len()
            )));
        }
        let contents = state.contents_number;
        // No entry has an empty key, so the bare number comes before the first.
        let after = entry_key(contents, after);
        let end = entry_key(contents + 1, &[]);
        let mut page = Page::new(request.page.as_ref());
        let mut response = v1::EnumerateDictionaryResponse::default();
        let mut last = Bytes::new();
        for stored in self.entries.range(after, end) {
            let (key, packed) = stored?;
            let ordered = key.slice(8..);
            if !page.takes(ordered.len() + if request.keys_only { 0 } else { packed.len() }) {
                response.next = last;
                break;
            }
            let (key, value) = entry::key_and_value(&ordered, packed)?;
            let value = if request.keys_only { Bytes::new() } else { value };
            response.entries.push(v1::DictionaryEntry { key, value });
            last = ordered;
        }
        Ok(Some(Response::EnumerateDictionary(response)))
    }
}
