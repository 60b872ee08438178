use bytes::Bytes;
use perper_proto::{Reason, v1};
use v1::response::Response;

use super::directory::Directory;
use super::{Lists, update};
use crate::engine::embedded::states::{Page, State, entry_key};
use crate::engine::{Outcome, Result};

impl Lists {
    /// A page in order.
    ///
    /// The token names the last element of the page before, and its position. The next page goes on behind that
    /// element, wherever it stands by now. If it is gone, it goes on at its former position, which additions and removals at the ends
    /// do not move; so it then misses, or repeats, only what changes between the ends have moved across that place.
    pub(super) fn enumerate(&self, request: &v1::EnumerateListRequest) -> Outcome {
        let id = &request.list;
        let state = self.catalogue.get(id)?;
        let token = request.page.as_ref().map_or(&[][..], |page| &page.token);
        let start = match token {
            [] => 0,
            token => resume(state, token)?,
        };
        let mut page = Page::new(request.page.as_ref());
        let mut response = v1::EnumerateListResponse::default();
        let mut last = Bytes::new();
        for (index, number) in (start..).zip(state.contents.elements(start, state.count)) {
            let element = self.elements.get(&entry_key(state.contents_number, &number.to_be_bytes()))?;
            let element = element.ok_or_else(|| update::lost(id, index))?;
            if !page.takes(element.len()) {
                response.next = last;
                break;
            }
            response.values.push(element);
            let position = state.contents.origin.wrapping_add_unsigned(index);
            last = [position.to_be_bytes(), number.to_be_bytes()].concat().into();
        }
        Ok(Some(Response::EnumerateList(response)))
    }
}

/// The index at which a page begins.
fn resume(state: &State<Directory>, token: &[u8]) -> Result<u64> {
    let parts = token.split_first_chunk::<8>().and_then(|(position, number)| {
        Some((i64::from_be_bytes(*position), u64::from_be_bytes(number.try_into().ok()?)))
    });
    let Some((position, number)) = parts else {
        return Err(Reason::InvalidArgument.error(format!(
            "the page token has {} bytes, so no enumeration of a list gave it: begin anew without one",
            token.len()
        )));
    };
    let contents = &state.contents;
    // What came before it may have gone from the front, so its place may lie before the list.
    let expected = u64::try_from(i128::from(position) - i128::from(contents.origin)).unwrap_or_default();
    let standing = if contents.element(expected, state.count) == Some(number) {
        Some(expected)
    } else {
        contents.find(number)
    };
    Ok(standing.map_or(expected, |index| index + 1))
}
