//! Endpoints as subscribers get them, made once for all who are told of them at about the same time.

use std::{collections::HashMap, sync::Arc};

use disco_proto::Endpoint;

use crate::{record::Record, registry::TopicId};

/// How many are kept: half a megabyte.
const KEPT: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Recent(HashMap<(TopicId, Arc<str>), Arc<Endpoint>>);

impl Recent {
    /// A record as subscribers get it. `name` is its topic's.
    pub(crate) fn endpoint(&mut self, topic: TopicId, name: &str, record: &Record) -> Arc<Endpoint> {
        let place = (topic, Arc::clone(&record.key));
        if let Some(endpoint) = self.0.get(&place)
            && endpoint.version == record.version
        {
            return Arc::clone(endpoint);
        }
        let endpoint = Arc::new(record.endpoint(name));
        self.keep(topic, &record.key, &endpoint);
        endpoint
    }

    /// Keeps one that was made elsewhere.
    pub(crate) fn keep(&mut self, topic: TopicId, key: &Arc<str>, endpoint: &Arc<Endpoint>) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert((topic, Arc::clone(key)), Arc::clone(endpoint));
    }
}
