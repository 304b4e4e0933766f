//! What changed in the registry, for whoever watches all of it: pages, scripts, metrics.

use std::sync::Arc;

use disco_proto::{Endpoint, Name, Reason};

use crate::{
    recent::Recent,
    record::Record,
    registry::{Applied, Committed, TopicId},
};

/// One committed change of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The revision with it.
    pub rev: u64,
    /// What happened to the endpoint.
    pub what: What,
    /// As it is now; as it was last, if it is gone.
    pub endpoint: Arc<Endpoint>,
}

/// What happened to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// Something about it changed.
    Updated,
    /// It is going for this reason, and usable until its users have another.
    Leaving(Reason),
    /// It is gone, for this reason.
    Dropped(Reason),
}

/// Part of the registry; what is `None` is not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this environment.
    pub environment: Option<String>,
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this role.
    pub role: Option<String>,
    /// Only endpoints called so.
    pub endpoint: Option<String>,
}

impl Filter {
    /// Whether a name is in it.
    pub fn admits(&self, name: &Name) -> bool {
        let part = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        part(&self.environment, &name.environment)
            && part(&self.service, &name.service)
            && part(&self.role, &name.role)
            && part(&self.endpoint, &name.endpoint)
    }
}

impl Observed {
    /// What a watcher of the registry sees of a commit; `None` if only who provides it changed.
    pub(crate) fn of(topic: TopicId, committed: &Committed, recent: &mut Recent) -> Option<Self> {
        // What nobody has claimed since a restart is not there yet.
        let there = |record: &&Record| !record.unclaimed;
        let same = |one: &Record, other: &Record| one.version == other.version && one.leaving == other.leaving;
        let (what, record): (What, &Record) = match &committed.applied {
            Applied::Put { before, now } if there(now) => match before.as_deref().filter(there) {
                Some(before) if same(before, now) => return None,
                Some(_) => (What::Updated, now),
                None => (What::Added, now),
            },
            Applied::Leaving { now, .. } if there(now) => (What::Leaving(now.leaving.as_ref()?.0), now),
            Applied::Removed(record, reason) if there(&&**record) => (What::Dropped(*reason), record),
            _ => return None,
        };
        Some(Self { rev: committed.rev, what, endpoint: recent.endpoint(topic, committed.topic, record) })
    }
}
