//! Placement: which host a slot is on. A slot stays where it is as long as its role allows that.

use scs_manifest::compiled::{Condition, Placement};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// A host as placement sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Name.
    pub name: String,
    /// Labels: `zone`, `dc`, ….
    pub labels: BTreeMap<String, String>,
    /// Whether it has said what it runs; until then what is stored is believed.
    pub seen: bool,
    /// Why it takes no slot that it does not have yet, in words that follow its name, e.g. `is drained`.
    pub closed: Option<String>,
}

/// Why no host may run a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplaceable {
    /// The host it names is not there.
    #[error("it is placed on host {host}, which is not there (hosts are {hosts})")]
    NoSuchHost {
        /// The host it names.
        host: String,
        /// The ones there are, comma-separated.
        hosts: String,
    },
    /// No host has the labels it asks for.
    #[error("no host has the labels it asks for (hosts are {hosts})")]
    NoMatch {
        /// The ones there are, comma-separated.
        hosts: String,
    },
    /// Those that it may be on take nothing new.
    #[error("no host that it may be on takes anything new: {}", .0.join(", "))]
    Closed(Vec<String>),
}

/// Hands out hosts for the slots of one plan, remembering what it has handed out.
#[derive(Debug)]
pub struct Placer<'a> {
    hosts: &'a [Host],
    /// How many slots of this plan each host has.
    load: Vec<usize>,
    /// Role → value of its `spread` label → slots.
    spread: BTreeMap<String, BTreeMap<String, usize>>,
}

impl<'a> Placer<'a> {
    /// Over these hosts.
    #[must_use]
    pub fn new(hosts: &'a [Host]) -> Self {
        Self { hosts, load: vec![0; hosts.len()], spread: BTreeMap::new() }
    }

    /// A host for one slot of a role: the one it is on if that is allowed, else the one with the fewest slots of the role in
    /// its spread, then the fewest at all, then the first by name.
    pub fn place(&mut self, role: &str, wish: &Placement, now: Option<&str>) -> Result<&'a str, Unplaceable> {
        let allowed: Vec<usize> = (0..self.hosts.len()).filter(|at| allows(wish, &self.hosts[*at])).collect();
        let stays = allowed.iter().copied().find(|at| Some(self.hosts[*at].name.as_str()) == now);
        let chosen = stays.or_else(|| {
            let open = allowed.iter().copied().filter(|at| self.hosts[*at].closed.is_none());
            open.min_by_key(|at| {
                let host = &self.hosts[*at];
                (self.spread_of(role, wish, host), self.load[*at], host.name.as_str())
            })
        });
        let at = chosen.ok_or_else(|| self.unplaceable(wish, &allowed))?;
        Ok(self.hand_out(role, wish, at))
    }

    /// Leaves a slot where it is, whatever its role allows; `None` where that host is not there.
    pub fn hold(&mut self, role: &str, wish: &Placement, host: &str) -> Option<&'a str> {
        let at = self.hosts.iter().position(|it| it.name == host)?;
        Some(self.hand_out(role, wish, at))
    }

    fn hand_out(&mut self, role: &str, wish: &Placement, at: usize) -> &'a str {
        self.load[at] += 1;
        if let Some(label) = &wish.spread {
            let value = self.hosts[at].labels.get(label).cloned().unwrap_or_default();
            *self.spread.entry(role.to_owned()).or_default().entry(value).or_default() += 1;
        }
        &self.hosts[at].name
    }

    fn spread_of(&self, role: &str, wish: &Placement, host: &Host) -> usize {
        let Some(label) = &wish.spread else { return 0 };
        let value = host.labels.get(label).map_or("", String::as_str);
        self.spread.get(role).and_then(|values| values.get(value)).copied().unwrap_or(0)
    }

    fn unplaceable(&self, wish: &Placement, allowed: &[usize]) -> Unplaceable {
        if !allowed.is_empty() {
            let reason = |host: &Host| Some(format!("{} {}", host.name, host.closed.as_ref()?));
            return Unplaceable::Closed(allowed.iter().filter_map(|at| reason(&self.hosts[*at])).collect());
        }
        let hosts = self.hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ");
        match &wish.host {
            Some(host) if !self.hosts.iter().any(|it| &it.name == host) => {
                Unplaceable::NoSuchHost { host: host.clone(), hosts }
            }
            _ => Unplaceable::NoMatch { hosts },
        }
    }
}

/// Whether a role's placement lets it be on a host.
#[must_use]
pub fn allows(wish: &Placement, host: &Host) -> bool {
    wish.host.as_ref().is_none_or(|name| *name == host.name)
        && wish.r#match.iter().all(|(label, condition)| {
            let value = host.labels.get(label);
            match condition {
                Condition::In(values) => value.is_some_and(|value| values.contains(value)),
                Condition::Not(values) => value.is_none_or(|value| !values.contains(value)),
                Condition::Exists(exists) => value.is_some() == *exists,
            }
        })
}
