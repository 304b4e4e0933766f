//! Which endpoints a requirement should have, from what is provided.

use std::{collections::BTreeMap, fmt, sync::Arc};

use disco_proto::{Endpoint, Health, Query};

use crate::{packed::Packed, record::Record, registry::Topic, require::Requirement, told::Told};

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
        match record.health {
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

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants<'a> {
    pub(crate) query: &'a Query,
    /// Whose own instance never matches.
    pub(crate) instance: Option<&'a str>,
    /// The subscriber's own attributes.
    pub(crate) own: &'a Packed,
}

impl<'a> Wants<'a> {
    pub(crate) fn of(requirement: &'a Requirement, own: &'a Packed) -> Self {
        Self { query: &requirement.query, instance: requirement.instance.as_deref(), own }
    }

    /// Somebody who asks with a whole query.
    pub(crate) fn asked(query: &'a Query, own: &'a Packed) -> Self {
        Self { query, instance: query.instance.as_deref(), own }
    }

    /// Whether the hard conditions hold.
    pub(crate) fn admits(&self, record: &Record) -> bool {
        record.fits(self.query, self.instance)
    }

    /// The tier of an endpoint: the first attribute of `prefer` that both have and agree in.
    pub(crate) fn tier(&self, record: &Record) -> usize {
        let prefer = &self.query.prefer;
        let agrees = |name: &String| self.own.get(name).is_some_and(|value| record.attribute(name) == Some(value));
        prefer.iter().position(agrees).unwrap_or(prefer.len())
    }

    /// How good it is, and how near.
    pub(crate) fn standing(&self, record: &Record) -> (Rank, usize) {
        (Rank::of(record), self.tier(record))
    }

    /// The records that are admitted. What nobody has claimed since a restart is there only for those who have been told of it.
    pub(crate) fn admitted(self, topic: &'a Topic, told: Option<&'a Told>) -> impl Iterator<Item = &'a Record> {
        let there = move |record: &Record| !record.unclaimed || told.is_some_and(|told| told.contains(&record.key));
        topic.of_role(self.query).filter(move |record| there(record) && self.admits(record))
    }

    /// The best rank and, within it, the best tier there is.
    pub(crate) fn best(self, topic: &Topic, told: Option<&Told>) -> Option<(Rank, usize)> {
        self.admitted(topic, told).map(|record| self.standing(record)).min()
    }

    /// Says of every endpoint of the topic why a subscriber that has `chosen` (its tier; `None`: nothing yet) gets it or does not.
    pub(crate) fn verdicts(self, topic: &Topic, chosen: Option<(Rank, usize)>) -> Vec<(Arc<Endpoint>, Verdict)> {
        let judge = |record: &Record, endpoint: &Endpoint| {
            let objection = self.query.objection(&endpoint.name.role, &endpoint.instance, &endpoint.attributes);
            if let Some(why) = objection {
                return Verdict::Unmatched(why);
            }
            let (rank, own_tier) = self.standing(record);
            match chosen {
                Some((best, _)) if rank > best => match rank {
                    Rank::Failing => Verdict::Failing,
                    _ if endpoint.suspect => Verdict::Suspect,
                    _ => Verdict::Draining,
                },
                Some((_, tier)) if own_tier > tier => {
                    Verdict::LessPreferred { attribute: self.query.prefer.get(tier).cloned().unwrap_or_default() }
                }
                Some((_, tier)) if own_tier < tier => Verdict::Failback,
                _ => Verdict::Chosen,
            }
        };
        let claimed = topic.records().filter(|record| !record.unclaimed);
        claimed
            .map(|record| {
                let endpoint = Arc::new(record.endpoint(&topic.name));
                let verdict = judge(record, &endpoint);
                (endpoint, verdict)
            })
            .collect()
    }
}
