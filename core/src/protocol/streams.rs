use bytes::Bytes;
use perper_proto::v1::{self, request, response};

use super::{
    fabric::Fabric,
    items::Batch,
    machines::session::Class,
    reply::{self, Reply},
};
use crate::{Error, Result};

/// What kind of stream it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Keep items that everyone has processed.
    pub persistent: bool,
    /// 0: unpacked. 1 or more: packed, with keys `first_key + n * stride` written in any order.
    pub stride: u64,
    /// The first key of a packed stream.
    pub first_key: i64,
    /// Names of members of the items to index.
    pub indexed_fields: Vec<String>,
    /// Writers wait while this many items are unread by the slowest listener; 0 is no bound.
    pub backlog_items: u64,
    /// The generator starts at once, not with the first listener.
    pub action: bool,
}

impl From<StreamOptions> for v1::StreamOptions {
    fn from(options: StreamOptions) -> Self {
        v1::StreamOptions {
            persistent: options.persistent,
            stride: options.stride,
            first_key: options.first_key,
            indexed_fields: options.indexed_fields,
            backlog_items: options.backlog_items,
            action: options.action,
        }
    }
}

impl From<v1::StreamOptions> for StreamOptions {
    fn from(options: v1::StreamOptions) -> Self {
        StreamOptions {
            persistent: options.persistent,
            stride: options.stride,
            first_key: options.first_key,
            indexed_fields: options.indexed_fields,
            backlog_items: options.backlog_items,
            action: options.action,
        }
    }
}

/// A stream to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStream {
    /// Id; see [`Fabric::new_id`].
    pub stream: String,
    /// What kind of stream.
    pub options: StreamOptions,
    /// The instance that it belongs to; without one it is detached.
    pub owner: Option<String>,
    /// The options may still be changed by `start_stream`.
    pub declared: bool,
    /// The execution whose generator fills it; empty: blank, anyone may write.
    pub linked_execution: String,
    /// A token made by the creator; see `docs/values.md`.
    pub capability: Bytes,
}

impl NewStream {
    /// A stream of that id with everything else empty: ephemeral, unpacked, blank, detached.
    pub fn new(stream: impl Into<String>) -> Self {
        NewStream { stream: stream.into(), ..NewStream::default() }
    }
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// The error that it ended with, if it did not end well.
    pub error: Option<Error>,
    /// Gaps of a packed stream that were never filled.
    pub skipped: u64,
}

impl From<v1::StreamEnd> for StreamEnd {
    fn from(end: v1::StreamEnd) -> Self {
        StreamEnd { error: end.error.map(Error::from_proto), skipped: end.skipped }
    }
}

/// A stream as `get_stream` and `list_streams` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Id.
    pub stream: String,
    /// What kind of stream.
    pub options: StreamOptions,
    /// The owning instance, if it has one.
    pub owner: Option<String>,
    /// The options may still be changed.
    pub declared: bool,
    /// The execution whose generator fills it; empty: blank.
    pub linked_execution: String,
    /// The first key kept, if there is any.
    pub first_key: Option<i64>,
    /// The last key written, if there is any.
    pub last_key: Option<i64>,
    /// Items kept now.
    pub items_kept: u64,
    /// Items written ever.
    pub items_written: u64,
    /// Bytes of the items kept.
    pub bytes_kept: u64,
    /// How it ended, once it has.
    pub end: Option<StreamEnd>,
    /// Listeners, attached or named.
    pub listeners: u32,
    /// It has, or has had, a listener.
    pub listened: bool,
}

impl From<v1::Stream> for StreamInfo {
    fn from(stream: v1::Stream) -> Self {
        StreamInfo {
            stream: stream.stream,
            options: stream.options.unwrap_or_default().into(),
            owner: stream.owner.map(|owner| owner.instance),
            declared: stream.declared,
            linked_execution: stream.linked_execution,
            first_key: stream.first_key,
            last_key: stream.last_key,
            items_kept: stream.items_kept,
            items_written: stream.items_written,
            bytes_kept: stream.bytes_kept,
            end: stream.end.map(StreamEnd::from),
            listeners: stream.listeners,
            listened: stream.listened,
        }
    }
}

/// Some items of a stream, from `read_items`.
#[derive(Clone, Debug)]
pub struct ItemsPage {
    /// The items.
    pub batches: Vec<Batch>,
    /// How the stream ended, when nothing follows any more.
    pub end: Option<StreamEnd>,
}

impl Fabric {
    /// Creates a stream; repeating it with the same options changes nothing.
    pub fn create_stream(&self, stream: NewStream) -> Reply<()> {
        let request = v1::CreateStreamRequest {
            stream: stream.stream,
            options: Some(stream.options.into()),
            owner: stream.owner.map(|instance| v1::Owner { instance }),
            declared: stream.declared,
            linked_execution: stream.linked_execution,
            capability: stream.capability,
            identity: None,
        };
        self.request(Class::Mutation, request::Request::CreateStream(request), reply::nothing)
    }

    /// Freezes the options of a declared stream, and names the execution that fills it (empty: none).
    pub fn start_stream(
        &self,
        stream: impl Into<String>,
        options: StreamOptions,
        linked_execution: impl Into<String>,
    ) -> Reply<()> {
        let request = v1::StartStreamRequest {
            stream: stream.into(),
            options: Some(options.into()),
            linked_execution: linked_execution.into(),
            identity: None,
        };
        self.request(Class::Mutation, request::Request::StartStream(request), reply::nothing)
    }

    /// Marks the end of a stream, after everything written so far, with an error if there was one.
    ///
    /// `reservation` is the activation's for a linked stream, empty for a blank one.
    pub fn complete_stream(
        &self,
        stream: impl Into<String>,
        reservation: Bytes,
        error: Option<&Error>,
    ) -> Reply<()> {
        let request = v1::CompleteStreamRequest {
            stream: stream.into(),
            reservation,
            error: error.map(Error::to_proto),
            identity: None,
        };
        self.request(Class::Mutation, request::Request::CompleteStream(request), reply::nothing)
    }

    /// A page of items: `limit` from a key on (inclusive; `None`: the first one kept). 0 takes the server's default.
    /// Leaves no trace, and keeps nothing from clean-up.
    pub fn read_items(
        &self,
        stream: impl Into<String>,
        from_key: Option<i64>,
        limit: u32,
    ) -> Reply<ItemsPage> {
        let request = v1::ReadItemsRequest { stream: stream.into(), from_key, limit };
        self.request(Class::Read, request::Request::ReadItems(request), |answer| match answer {
            Some(response::Response::ReadItems(page)) => {
                let step = i64::try_from(page.step.max(1)).unwrap_or(i64::MAX);
                Ok(ItemsPage {
                    batches: page.batches.into_iter().filter_map(|batch| Batch::new(batch, step)).collect(),
                    end: page.end.map(StreamEnd::from),
                })
            }
            // An empty page says nothing.
            None => Ok(ItemsPage { batches: Vec::new(), end: None }),
            Some(_) => reply::unexpected("ReadItems"),
        })
    }

    /// Removes a named listener and its place.
    pub fn remove_listener(&self, stream: impl Into<String>, name: impl Into<String>) -> Reply<()> {
        let request = v1::RemoveListenerRequest { stream: stream.into(), name: name.into(), identity: None };
        self.request(Class::Mutation, request::Request::RemoveListener(request), reply::nothing)
    }

    /// Waits until the stream has, or has had, a listener.
    pub fn wait_for_listener(&self, stream: impl Into<String>) -> Reply<()> {
        let request = v1::WaitForListenerRequest { stream: stream.into() };
        self.request(Class::Read, request::Request::WaitForListener(request), reply::nothing)
    }

    /// How a stream stands.
    pub fn get_stream(&self, stream: impl Into<String>) -> Reply<StreamInfo> {
        let request = v1::GetStreamRequest { stream: stream.into() };
        self.request(Class::Read, request::Request::GetStream(request), |answer| match answer {
            Some(response::Response::GetStream(v1::GetStreamResponse { stream: Some(stream) })) => {
                Ok(stream.into())
            }
            _ => reply::unexpected("GetStream"),
        })
    }

    /// Destroys a stream and its items; cancels its generator.
    pub fn destroy_stream(&self, stream: impl Into<String>) -> Reply<()> {
        let request = v1::DestroyStreamRequest { stream: stream.into(), identity: None };
        self.request(Class::Mutation, request::Request::DestroyStream(request), reply::nothing)
    }
}

pub(crate) fn first_key_written(answer: Option<response::Response>) -> Result<i64> {
    match answer {
        Some(response::Response::WriteItems(response)) => Ok(response.first_key),
        // Key 0 alone says nothing, and may be left out.
        None => Ok(0),
        Some(_) => reply::unexpected("WriteItems"),
    }
}
