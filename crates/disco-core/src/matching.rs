//! Which endpoints a requirement should have, from what is provided.

use std::{collections::BTreeMap, fmt, sync::Arc};

use disco_proto::{Endpoint, Health, Query};

use crate::{
    registry::{Record, Topic},
    require::Told,
};

/// How good an endpoint is, the best first. Only the best rank that is not empty is delivered, so that one slow dependency does not take a
/// whole chain down, and a move never leaves a subscriber with nothing while something still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Passing.
    Live,
    /// Works as far as anyone knows: draining, or suspect.
    Usable,
    /// Failing, in its provider's own words.
    Failing,
}

impl Rank {
    pub(crate) fn of(record: &Record) -> Self {
        match record.endpoint.health {
            _ if record.live() => Rank::Live,
            Health::Failing => Rank::Failing,
            _ => Rank::Usable,
        }
    }
}

/// Why an endpoint is delivered to a requirement or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is delivered.
    Chosen,
    /// A hard condition does not hold; which, in words.
    Unmatched(String),
    /// It is failing, and something that is not is there.
    Failing,
    /// It is draining or leaving, and something that is not is there.
    Draining,
    /// Its provider fell silent, and something live is there.
    Suspect,
    /// An endpoint of a preferred tier is there.
    LessPreferred {
        /// The attribute that the better ones share with the subscriber.
        attribute: String,
    },
    /// It is of a better tier, which must prove stable before subscribers go back to it.
    Failback,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Chosen => f.write_str("chosen"),
            Verdict::Unmatched(why) => f.write_str(why),
            Verdict::Failing => f.write_str("it is failing, and others are not"),
            Verdict::Draining => f.write_str("it is draining, and others are not"),
            Verdict::Suspect => f.write_str("its provider fell silent, and others did not"),
            Verdict::LessPreferred { attribute } => write!(f, "others have the preferred {attribute}"),
            Verdict::Failback => f.write_str("it is preferred, but has not been there for long enough to go back to"),
        }
    }
}

/// Attributes, of a client or an endpoint.
pub type Attributes = BTreeMap<String, String>;

/// The tier of an endpoint for a subscriber: the first attribute of `prefer` that both have and agree in.
pub(crate) fn tier(query: &Query, own: &Attributes, endpoint: &Endpoint) -> usize {
    let agrees = |name: &String| own.get(name).is_some_and(|value| endpoint.attributes.get(name) == Some(value));
    query.prefer.iter().position(agrees).unwrap_or(query.prefer.len())
}

/// The records that a query admits. What nobody has claimed since a restart is there only for those who have been told of it.
pub(crate) fn admitted<'a>(
    query: &'a Query,
    topic: &'a Topic,
    told: Option<&'a BTreeMap<Arc<str>, Told>>,
) -> impl Iterator<Item = (&'a Arc<str>, &'a Record)> {
    let there =
        move |key: &Arc<str>, record: &Record| !record.unclaimed || told.is_some_and(|told| told.contains_key(key));
    topic.of_role(query).filter(move |(key, record)| there(key, record) && admits(query, record))
}

pub(crate) fn admits(query: &Query, record: &Record) -> bool {
    let endpoint = &record.endpoint;
    query.admits(&endpoint.name.role, &endpoint.instance, &endpoint.attributes)
}

/// The best rank and, within it, the best tier there is.
pub(crate) fn best(
    query: &Query,
    own: &Attributes,
    topic: &Topic,
    told: Option<&BTreeMap<Arc<str>, Told>>,
) -> Option<(Rank, usize)> {
    admitted(query, topic, told).map(|(_, record)| (Rank::of(record), tier(query, own, &record.endpoint))).min()
}

/// Says of every endpoint of the topic why a subscriber that has `current` (its tier; `None`: nothing yet) gets it or does not.
pub(crate) fn verdicts(
    query: &Query,
    own: &Attributes,
    topic: &Topic,
    chosen: Option<(Rank, usize)>,
) -> Vec<(Arc<Endpoint>, Verdict)> {
    let judge = |record: &Record| {
        let endpoint = &record.endpoint;
        if let Some(why) = query.objection(&endpoint.name.role, &endpoint.instance, &endpoint.attributes) {
            return Verdict::Unmatched(why);
        }
        let (rank, own_tier) = (Rank::of(record), tier(query, own, endpoint));
        match chosen {
            Some((best, _)) if rank > best => match rank {
                Rank::Failing => Verdict::Failing,
                _ if endpoint.suspect => Verdict::Suspect,
                _ => Verdict::Draining,
            },
            Some((_, tier)) if own_tier > tier => {
                Verdict::LessPreferred { attribute: query.prefer.get(tier).cloned().unwrap_or_default() }
            }
            Some((_, tier)) if own_tier < tier => Verdict::Failback,
            _ => Verdict::Chosen,
        }
    };
    let claimed = topic.records.values().filter(|record| !record.unclaimed);
    claimed.map(|record| (Arc::clone(&record.endpoint), judge(record))).collect()
}
