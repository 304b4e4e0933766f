//! One provision, as little of it as says everything: a server may have hundreds of thousands.

use std::sync::{Arc, OnceLock};

use disco_proto::{Endpoint, Health, Name, Protocol, Query, Reason, Version};

use crate::{input::Time, packed::Packed, session::SessionId};

/// One provision. The rest of its name is its topic's.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// `role/instance`.
    pub(crate) key: Arc<str>,
    /// The host, then the attributes.
    texts: Packed,
    pub(crate) version: Version,
    pub(crate) incarnation: u64,
    /// Whose it is now.
    pub(crate) session: SessionId,
    /// The host that may take it over.
    pub(crate) owner: Arc<str>,
    /// It is going, and stays usable until a successor is there or this time comes.
    pub(crate) leaving: Option<Box<(Reason, Time)>>,
    /// As subscribers get it, if that was wanted lately.
    pub(crate) at_hand: OnceLock<Arc<Endpoint>>,
    /// How long the role is.
    role: u16,
    port: u16,
    protocol: Protocol,
    pub(crate) health: Health,
    /// Its provider fell silent while too many did.
    pub(crate) suspect: bool,
    /// It comes from a snapshot, and its provider has not said it again.
    pub(crate) unclaimed: bool,
}

impl Record {
    /// A provision that is there.
    pub(crate) fn of(
        endpoint: &Endpoint,
        key: Arc<str>,
        incarnation: u64,
        session: SessionId,
        owner: &Arc<str>,
    ) -> Box<Self> {
        Box::new(Self {
            key,
            texts: Packed::with(&endpoint.host, &endpoint.attributes),
            version: endpoint.version,
            incarnation,
            session,
            owner: Arc::clone(owner),
            leaving: None,
            at_hand: OnceLock::new(),
            role: u16::try_from(endpoint.name.role.len()).unwrap_or_default(),
            port: endpoint.port,
            protocol: endpoint.protocol,
            health: endpoint.health,
            suspect: endpoint.suspect,
            unclaimed: false,
        })
    }

    /// As subscribers get it. `topic` is `environment/service/endpoint`.
    pub(crate) fn endpoint(&self, topic: &str) -> Endpoint {
        Endpoint {
            name: self.name(topic),
            instance: self.instance().to_owned(),
            host: self.texts.first().to_owned(),
            port: self.port,
            protocol: self.protocol,
            attributes: self.texts.map_after_first(),
            health: self.health,
            suspect: self.suspect,
            version: self.version,
        }
    }

    /// Its whole name.
    pub(crate) fn name(&self, topic: &str) -> Name {
        let mut parts = topic.split('/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        Name { environment: part(), service: part(), endpoint: part(), role: self.role().to_owned() }
    }

    /// The same, suspect or not.
    pub(crate) fn suspected(&self, topic: &str, suspect: bool) -> Box<Self> {
        let mut record = Box::new(self.clone());
        record.suspect = suspect;
        record.at_hand = OnceLock::new();
        record.version = Version::of(&record.endpoint(topic));
        record
    }

    pub(crate) fn role(&self) -> &str {
        self.key.get(..usize::from(self.role)).unwrap_or_default()
    }

    pub(crate) fn instance(&self) -> &str {
        self.key.get(usize::from(self.role) + 1..).unwrap_or_default()
    }

    /// Whether it stands before all of a role, in the order of keys.
    pub(crate) fn before_role(&self, role: &str) -> bool {
        // `a-b/x` stands before `a/x`: a slash comes after a hyphen.
        let mut own = self.key.bytes();
        for byte in role.bytes().chain([b'/']) {
            match own.next() {
                Some(is) if is == byte => {}
                is => return is.is_none_or(|is| is < byte),
            }
        }
        false
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.texts.get_after_first(name)
    }

    /// Whether a query's conditions hold of it. Environment, service and endpoint are its topic's.
    pub(crate) fn fits(&self, query: &Query, instance: Option<&str>) -> bool {
        instance != Some(self.instance()) && query.admits_by(self.role(), self.instance(), |name| self.attribute(name))
    }

    /// Whether it should be used when there is nothing wrong with anything.
    pub(crate) fn live(&self) -> bool {
        self.leaving.is_none() && !self.suspect && self.health == Health::Passing
    }

    /// About how many bytes it takes in a message.
    pub(crate) fn size(&self) -> usize {
        220 + self.texts.size()
    }
}
