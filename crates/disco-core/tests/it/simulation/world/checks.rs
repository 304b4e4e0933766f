//! What must hold at every moment.

use std::{collections::BTreeMap, time::Duration};

use disco_core::{Filter, Observed, What};
use disco_proto::{Reason, Version, message::Identity};

use super::World;
use crate::simulation::client::Client;

impl World {
    /// A watcher of the registry sees every change, once, in order.
    pub(super) fn watch(&mut self, Observed { rev, what, endpoint }: Observed) {
        assert!(rev > self.watched_rev, "revision {rev} was seen after {}", self.watched_rev);
        self.watched_rev = rev;
        let identity = Identity { name: endpoint.name.clone(), instance: endpoint.instance.clone() };
        match what {
            What::Added => {
                let before = self.watched.insert(identity, endpoint.version);
                assert!(before.is_none(), "{endpoint:?} was added twice");
            }
            What::Updated | What::Leaving(_) => {
                let before = self.watched.insert(identity, endpoint.version);
                assert!(before.is_some(), "{endpoint:?} changed and was never there");
            }
            What::Dropped(_) => {
                let before = self.watched.remove(&identity);
                assert_eq!(before, Some(endpoint.version), "{endpoint:?} went and was not there like this");
            }
        }
    }

    pub(super) fn true_now(&self, change: &disco_proto::message::Change) {
        for endpoint in change.add.iter().chain(&change.update) {
            let identity = Identity { name: endpoint.name.clone(), instance: endpoint.instance.clone() };
            assert!(!self.gone.contains(&identity), "{identity:?} has risen after it had left");
        }
        for gone in &change.drop {
            self.gone_as_its_provider_said(gone);
            if matches!(gone.reason, Reason::Lost | Reason::Expired) {
                self.lost_for_a_reason(&gone.key);
            }
        }
    }

    /// What its provider took back goes for the reason that it gave, also for those who were away meanwhile.
    fn gone_as_its_provider_said(&self, gone: &disco_proto::message::Gone) {
        // The key does not say of which service: it is sure only if it is so of all that have the role.
        let (role, instance) = gone.key.split_once('/').unwrap();
        let names = super::NAMES.iter().map(|name| name.parse::<disco_proto::Name>().unwrap());
        let of_key = names
            .filter(|name| name.role == role)
            .map(|name| self.departed.get(&Identity { name, instance: instance.to_owned() }));
        let Some(departed) = of_key.collect::<Option<Vec<_>>>() else { return };
        if departed.iter().all(|departed| departed.sure) {
            let said = departed.iter().any(|departed| departed.reasons.contains(&gone.reason));
            assert!(said, "{gone:?}, and its provider said something else");
        }
    }

    /// What is dropped as lost belongs to somebody who was out of reach, or gave it up.
    fn lost_for_a_reason(&self, key: &str) {
        let provides = |client: &&Client| client.provisions.values().any(|provision| provision.key() == key);
        for client in self.clients.iter().filter(provides) {
            let since = self.now.saturating_sub(client.troubled);
            let fine = client.open && since > Duration::from_secs(40);
            // Another client of the same host may have had it before.
            let shared = self.clients.iter().filter(|other| other.host == client.host).count() > 1;
            assert!(
                !fine || shared,
                "{key} of {} is dropped as lost, but nothing was wrong for {since:?}",
                client.agent
            );
        }
    }

    /// When a withdrawal is answered, everyone who still uses it is named.
    pub(super) fn nobody_uses(&self, identity: &Identity, named: &[String]) {
        let key = format!("{}/{}", identity.name.role, identity.instance);
        let view = self.core.view();
        for client in self.clients.iter().filter(|client| client.open) {
            let Some(session) = &client.session else { continue };
            for requirement in view.requirements.iter().filter(|requirement| requirement.session == session.session) {
                let Some(own) = client.requirements.get(&requirement.id) else { continue };
                let same = own.query == requirement.query
                    && own.query.environment == identity.name.environment
                    && own.query.endpoint == identity.name.endpoint;
                let name = format!("{}@{}", requirement.id, client.agent);
                assert!(
                    !(same && own.uses.contains(&key)) || named.contains(&name),
                    "{name} uses {key}, and the answer to its withdrawal does not say so"
                );
            }
        }
    }

    /// What always holds.
    pub(super) fn check(&self) {
        let provisions = self.core.provisions();
        for pair in provisions.windows(2) {
            let (one, next) = (&pair[0].endpoint, &pair[1].endpoint);
            assert!((&one.name, &one.instance) != (&next.name, &next.instance), "{one:?} is there twice");
        }
        for provision in &provisions {
            let endpoint = &provision.endpoint;
            assert!(!provision.session.is_empty(), "{endpoint:?} is nobody's");
            let identity = Identity { name: endpoint.name.clone(), instance: endpoint.instance.clone() };
            let risen = !provision.unclaimed && self.gone.contains(&identity);
            assert!(!risen, "{identity:?} is there after it had left");
        }
        let there: BTreeMap<Identity, Version> = self
            .core
            .endpoints(&Filter::default())
            .map(|endpoint| {
                let identity = Identity { name: endpoint.name.clone(), instance: endpoint.instance.clone() };
                (identity, endpoint.version)
            })
            .collect();
        assert_eq!(self.watched, there, "a watcher and the registry disagree");
        self.numbers();
    }

    /// What is counted as it happens agrees with what is there.
    fn numbers(&self) {
        let (stats, view) = (self.core.stats(), self.core.view());
        let kinds = stats.provisions;
        assert_eq!(kinds.passing + kinds.failing + kinds.draining + kinds.unclaimed, view.provisions.len());
        let suspect = view.provisions.iter().filter(|provision| provision.endpoint.suspect).count();
        let unclaimed = view.provisions.iter().filter(|provision| provision.unclaimed).count();
        assert_eq!((kinds.suspect, kinds.unclaimed), (suspect, unclaimed));
        assert_eq!(stats.connected, view.sessions.iter().filter(|session| session.connected).count());
        assert_eq!((stats.sessions, stats.requirements), (view.sessions.len(), view.requirements.len()));
        assert_eq!(stats.brake.is_some(), stats.brake.is_some_and(|brake| brake.suspects > 0), "a brake for nothing");
    }
}
