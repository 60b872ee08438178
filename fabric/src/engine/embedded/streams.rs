use super::changes::Changes;
use super::shard::Shard;
use crate::engine::{Event, Identity, Outcome, StreamRequest};

pub(super) struct Streams;

impl Shard for Streams {
    type Request = StreamRequest;
    type Unpublished = ();
    const NUMBER: u8 = 2;

    fn apply(&mut self, _: StreamRequest, _: Option<Identity>, _: &mut Changes<()>) -> Outcome {
        Err(perper_proto::Reason::FeatureNotSupported.error("not yet"))
    }

    fn publish(&mut self, _: Vec<()>, _: &mut Vec<Event>) {}
}

impl Streams {
    pub(super) fn recovery_events(&self) -> Vec<Event> {
        Vec::new()
    }
    pub(super) fn view(&self, _id: &str) -> Option<perper_proto::v1::Stream> {
        None
    }
    pub(super) fn scan(&self, _after: &str, _limit: usize) -> Vec<perper_proto::v1::Stream> {
        Vec::new()
    }
    pub(super) fn scan_listeners(
        &self,
        _: Option<&str>,
        _: (&str, &str),
        _: usize,
    ) -> Vec<perper_proto::v1::Listener> {
        Vec::new()
    }
    pub(super) fn owned_by(&self, _: &str) -> Vec<crate::engine::Owned> {
        Vec::new()
    }
    /// Lets the reservation in as the only writer, and tells it where it is.
    pub(super) fn fence(&mut self, _stream: &str, _token: &[u8]) -> Option<perper_proto::v1::LinkedStream> {
        None
    }
}

pub(super) fn read_items(
    _: &super::shard::Guarded<Streams>,
    _: &dyn perper_store::Store,
    _: &crate::engine::ReadItems,
) -> crate::engine::Result<crate::engine::Items> {
    Err(perper_proto::Reason::FeatureNotSupported.error("not yet"))
}
