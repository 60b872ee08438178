use super::changes::Changes;
use super::shard::Shard;
use crate::engine::{Event, Identity, ListRequest, Outcome};

pub(super) struct Lists;

impl Shard for Lists {
    type Request = ListRequest;
    type Unpublished = ();
    const NUMBER: u8 = 4;

    fn apply(&mut self, _: ListRequest, _: Option<Identity>, _: &mut Changes<()>) -> Outcome {
        Err(perper_proto::Reason::FeatureNotSupported.error("not yet"))
    }

    fn publish(&mut self, _: Vec<()>, _: &mut Vec<Event>) {}
}

impl Lists {
    pub(super) fn scan(&self, _after: &str, _limit: usize) -> Vec<perper_proto::v1::State> {
        Vec::new()
    }
    pub(super) fn owned_by(&self, _instance: &str) -> Vec<std::sync::Arc<str>> {
        Vec::new()
    }
}
