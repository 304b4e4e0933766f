//! Who may come into discovery, and what they may do there: what desired state says of each, kept in memory so that whoever serves
//! discovery has an answer at once. A host provides what is assigned to it, and what is still on its way out there.

use crate::service::Shared;
use crate::state::{Error, PersonRecord, ServiceKey, ServiceRecord, Status};
use disco_core::{Grants, Permit, Scope};
use scs_api::person::Role;
use scs_pki::{Identity, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Scopes as a certificate writes them: `environment/service` or `environment/service/role`.
type Scopes = BTreeSet<String>;

/// Answers who may come into discovery, from memory. Cheap to clone; all clones see the newest.
#[derive(Debug, Clone)]
pub struct Admission {
    table: watch::Receiver<Arc<Table>>,
    changes: watch::Receiver<u64>,
}

/// What desired state says, and the end at which it is changed.
#[derive(Debug)]
pub(crate) struct Register {
    table: watch::Sender<Arc<Table>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// Serial → why.
    revoked: BTreeMap<String, String>,
    hosts: BTreeMap<String, Arc<Permit>>,
    people: BTreeMap<String, Arc<Permit>>,
}

impl Admission {
    /// What the holder of the certificate with this number may do now. One that desired state knows nobody of was issued by hand, and
    /// may do what it says.
    ///
    /// # Errors
    /// Where it has been revoked: why, in words.
    pub fn grants(&self, identity: &Identity, serial: &str) -> Result<Grants, String> {
        let table = self.table.borrow();
        if let Some(why) = table.revoked.get(serial) {
            return Err(why.clone());
        }
        let known = match identity.kind {
            Kind::Host => table.hosts.get(&identity.name),
            Kind::Person => table.people.get(&identity.name),
            Kind::Server => None,
        };
        Ok(known.map_or_else(|| identity.grants(), |permit| Grants::Only(permit.clone())))
    }

    /// Sees a new value whenever answers may have changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

impl Register {
    pub(crate) fn new() -> Self {
        Self { table: watch::Sender::new(Arc::default()), changes: watch::Sender::new(0) }
    }

    pub(crate) fn admission(&self) -> Admission {
        Admission { table: self.table.subscribe(), changes: self.changes.subscribe() }
    }

    fn put(&self, table: Table) {
        if **self.table.borrow() == table {
            return;
        }
        self.table.send_replace(Arc::new(table));
        self.changes.send_modify(|count| *count += 1);
    }
}

/// Where a person may provide, and require.
pub(crate) fn of_person(record: &PersonRecord) -> (Scopes, Scopes) {
    if record.role == Role::Admin {
        let everywhere = Scopes::from(["*/*".to_owned()]);
        return (everywhere.clone(), everywhere);
    }
    let require: Scopes = record.environments.iter().map(|it| format!("{it}/*")).collect();
    let provide = if record.role >= Role::Deploy { require.clone() } else { Scopes::new() };
    (provide, require)
}

/// Names of desired state have been checked when they came in; one that is no scope grants nothing.
fn permit(kind: Kind, name: &str, provide: &Scopes, require: &Scopes) -> Option<Arc<Permit>> {
    let host = Identity::new(kind, name).ok()?.host();
    let scopes = |texts: &Scopes| texts.iter().filter_map(|it| it.parse::<Scope>().ok()).collect();
    Some(Arc::new(Permit { host, provide: scopes(provide), require: scopes(require) }))
}

impl Shared {
    /// Makes the answers those of desired state.
    pub(crate) async fn admit(&self, services: &[(ServiceKey, ServiceRecord)]) -> Result<(), Error> {
        let mut table = Table::default();
        for (serial, record) in self.state.revoked().await? {
            let at = jiff::Timestamp::try_from(record.at).unwrap_or(jiff::Timestamp::MAX);
            let at = at.round(jiff::Unit::Second).unwrap_or(at);
            table.revoked.insert(serial, format!("{} was removed, or joined anew, at {at}", record.holder));
        }
        let mut provide: BTreeMap<String, Scopes> = BTreeMap::new();
        for (service, record) in services.iter().filter(|(_, it)| it.status != Status::Down) {
            for (place, host) in &record.hosts {
                let role = place.rsplit_once('/').map_or(place.as_str(), |(role, _)| role);
                provide.entry(host.clone()).or_default().insert(format!("{service}/{role}"));
            }
        }
        for (slot, tombstone) in self.state.tombstones(None).await? {
            let scope = format!("{}/{}/{}", slot.environment, slot.service, slot.role);
            provide.entry(tombstone.host).or_default().insert(scope);
        }
        // What runs there may require of any environment that its manifest names.
        let everywhere = Scopes::from(["*/*".to_owned()]);
        for record in self.state.hosts().await? {
            let provide = provide.remove(&record.name).unwrap_or_default();
            table.hosts.extend(permit(Kind::Host, &record.name, &provide, &everywhere).map(|it| (record.name, it)));
        }
        for record in self.state.people().await? {
            let (provide, require) = of_person(&record);
            table.people.extend(permit(Kind::Person, &record.name, &provide, &require).map(|it| (record.name, it)));
        }
        self.admission.put(table);
        Ok(())
    }
}
