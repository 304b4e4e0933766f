//! Which records have at hand what subscribers get of them. Making that takes a microsecond, and keeping it a kilobyte: the records that were
//! told of lately keep it, the others make it anew.

use std::{collections::VecDeque, sync::Arc};

use disco_proto::Endpoint;

use crate::{
    record::Record,
    registry::{Registry, TopicId},
};

/// How many keep it: four megabytes at most.
const KEPT: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(TopicId, Arc<str>)>);

impl Recent {
    /// A record as subscribers get it. `name` is its topic's.
    pub(crate) fn endpoint(&mut self, topic: TopicId, name: &str, record: &Record) -> Arc<Endpoint> {
        if let Some(endpoint) = record.at_hand.get() {
            return Arc::clone(endpoint);
        }
        self.note(topic, &record.key);
        Arc::clone(record.at_hand.get_or_init(|| Arc::new(record.endpoint(name))))
    }

    /// A record has it from the beginning.
    pub(crate) fn note(&mut self, topic: TopicId, key: &Arc<str>) {
        self.0.push_back((topic, Arc::clone(key)));
    }

    /// Has the oldest give up what they have at hand.
    pub(crate) fn forget(&mut self, registry: &mut Registry) {
        let surplus = self.0.len().saturating_sub(KEPT);
        for (topic, key) in self.0.drain(..surplus) {
            // It may have gone, and its topic be another.
            if let Some(record) = registry.topic_mut(topic).record_mut(&key) {
                record.at_hand.take();
            }
        }
    }
}
