use super::changes::Changes;
use super::shard::Shard;
use crate::engine::{DictionaryRequest, Event, Identity, Outcome};

pub(super) struct Dictionaries;

impl Shard for Dictionaries {
    type Request = DictionaryRequest;
    type Unpublished = ();
    const NUMBER: u8 = 3;

    fn apply(&mut self, _: DictionaryRequest, _: Option<Identity>, _: &mut Changes<()>) -> Outcome {
        Err(perper_proto::Reason::FeatureNotSupported.error("not yet"))
    }

    fn publish(&mut self, _: Vec<()>, _: &mut Vec<Event>) {}
}

impl Dictionaries {
    pub(super) fn scan(&self, _after: &str, _limit: usize) -> Vec<perper_proto::v1::State> {
        Vec::new()
    }
    pub(super) fn owned_by(&self, _instance: &str) -> Vec<std::sync::Arc<str>> {
        Vec::new()
    }
}
