//! From what a subscriber was told to what is true.

use std::{collections::HashMap, sync::Arc};

use disco_proto::{Endpoint, Health, Query, Reason};

use crate::{
    deliver::BUDGET,
    matching::{Rank, Wants},
    record::Record,
    registry::{Topic, TopicId},
    told::Told,
};

/// What differs between told and true.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) adds: Vec<Arc<Endpoint>>,
    pub(crate) updates: Vec<Arc<Endpoint>>,
    pub(crate) drops: Vec<(Arc<str>, Reason)>,
    /// It did not fit.
    pub(crate) more: bool,
    /// What is told with it.
    pub(crate) told: Told,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.updates.is_empty() && self.drops.is_empty()
    }

    /// Additions come before drops, so that a set too large for one message is never told to be smaller than it is before and after.
    pub(crate) fn of(
        wants: Wants<'_>,
        told: &Told,
        topic: &Topic,
        chosen: Option<(Rank, usize)>,
        holding: bool,
        mut endpoint: impl FnMut(&Record) -> Arc<Endpoint>,
    ) -> Self {
        let mut difference = Self::default();
        let mut put = Vec::new();
        let more = difference.collect(wants, told, topic, chosen, holding, |record| {
            put.push((Arc::clone(&record.key), record.version));
            endpoint(record)
        });
        difference.more = more.is_none();
        difference.told = match difference.is_empty() {
            true => told.clone(),
            false => {
                let dropped: Vec<Arc<str>> = difference.drops.iter().map(|(key, _)| Arc::clone(key)).collect();
                told.changed(&dropped, put)
            }
        };
        difference
    }

    /// `None` where it does not fit.
    fn collect(
        &mut self,
        wants: Wants<'_>,
        told: &Told,
        topic: &Topic,
        chosen: Option<(Rank, usize)>,
        holding: bool,
        mut endpoint: impl FnMut(&Record) -> Arc<Endpoint>,
    ) -> Option<()> {
        let prefers = !wants.query.prefer.is_empty();
        let departed = |key: &str| topic.departed.get(key).map(|departed| departed.reason);
        let heard = |key: &str| topic.record(key).is_some_and(|record| !record.unclaimed && !record.suspect);
        // After a restart, as long as something that the subscriber has may still come back, it is neither taken away nor replaced by
        // something less preferred; whatever is as good may come.
        let waiting = holding && told.keys().any(|key| departed(key).is_none() && !heard(key));
        let wanted = |record: &Record| {
            if waiting {
                return told.contains(&record.key) || (!prefers && record.live());
            }
            chosen == Some(wants.standing(record))
        };
        let mut budget = Budget(BUDGET);
        // Nothing is told of what only a snapshot says.
        for record in wants.admitted(topic, None).filter(|record| wanted(record)) {
            let version = told.get(&record.key);
            if version == Some(record.version) {
                continue;
            }
            budget.take(record.size())?;
            let list = if version.is_none() { &mut self.adds } else { &mut self.updates };
            list.push(endpoint(record));
        }
        for key in told.keys() {
            let reason = match topic.record(key) {
                Some(record) if wants.admits(record) => {
                    if wanted(record) {
                        continue;
                    }
                    outdone(record)
                }
                Some(_) => Reason::Unmatched,
                None if waiting && departed(key).is_none() => continue,
                None => departed(key).unwrap_or(Reason::Lost),
            };
            budget.take(key.len() + 40)?;
            self.drops.push((Arc::clone(key), reason));
        }
        Some(())
    }
}

/// Why a record that is there and admitted is no longer delivered.
fn outdone(record: &Record) -> Reason {
    match &record.leaving {
        Some(leaving) => leaving.0,
        None if record.suspect => Reason::Expired,
        None if record.health == Health::Draining => Reason::Draining,
        None => Reason::Unmatched,
    }
}

struct Budget(usize);

impl Budget {
    /// Takes room; one item always has some.
    fn take(&mut self, size: usize) -> Option<()> {
        if self.0 == 0 {
            return None;
        }
        self.0 = self.0.saturating_sub(size);
        Some(())
    }
}

/// How many differences are kept.
const KEPT: usize = 64;

/// Differences as they are now. Whoever changes anything that they follow from clears them.
#[derive(Debug, Default)]
pub(crate) struct Views(HashMap<(TopicId, usize, usize), View>);

/// The query and the list are kept, so that nothing else comes to their addresses.
#[derive(Debug)]
struct View {
    _query: Arc<Query>,
    _told: Told,
    difference: Arc<Difference>,
}

impl Views {
    pub(crate) fn get(&self, topic: TopicId, query: &Arc<Query>, told: &Told) -> Option<Arc<Difference>> {
        let view = self.0.get(&(topic, Arc::as_ptr(query).addr(), told.address()))?;
        Some(Arc::clone(&view.difference))
    }

    pub(crate) fn keep(&mut self, topic: TopicId, query: Arc<Query>, told: Told, difference: &Arc<Difference>) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        let place = (topic, Arc::as_ptr(&query).addr(), told.address());
        self.0.insert(place, View { _query: query, _told: told, difference: Arc::clone(difference) });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
