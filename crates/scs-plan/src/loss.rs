//! Host loss: what starts elsewhere when the agent of a host has been out of reach for long enough, and what waits for it.
//!
//! Who is out of reach is not known to be dead: its containers may run on. So only what does no harm when it runs twice for a while goes
//! elsewhere, and what a lease has ended there ([`crate::lease`]). Where most hosts are out of reach at once, it is the one who looks that is cut off, and nothing goes anywhere.

use crate::placement::{Host, Placer, Unplaceable};
use crate::slot::Slot;
use scs_manifest::compiled::{Access, Fence, OnHostLoss, Role};
use std::fmt;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Methods whose volumes are the same from every host.
pub const EVERYWHERE: [&str; 1] = ["nfs"];

/// Methods whose volumes may go with a lease: the same from every host, or a directory of the user's, who says by `fence: lease` that it is.
pub const ANYWHERE: [&str; 2] = ["nfs", "bind"];

/// Whether the agent of a host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It does.
    Answers,
    /// It has not yet, and nobody has given up.
    Connecting,
    /// It has not for so long, though its host is there: only the agent is away, started anew perhaps.
    Away(Duration),
    /// Nothing has been heard of the host for so long.
    Silent(Duration),
}

/// How long after it was found out of reach a host counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// One of which nothing is heard. Longer than between two beats of an agent, so that where it is the one who looks that is cut off, all
    /// hosts fall silent within it.
    pub silent: Duration,
    /// One whose agent alone is away: long enough for an upgrade. Its containers run, but nobody looks after them.
    pub away: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self { silent: Duration::from_millis(1500), away: Duration::from_secs(20) }
    }
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// As placement sees it; a host that does not answer takes nothing, whatever it says here.
    pub host: Host,
    /// Whether its agent answers.
    pub contact: Contact,
}

/// An instance, and where it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Resident<'a> {
    /// Which.
    pub slot: Slot,
    /// Its role.
    pub role: &'a Role,
    /// Its host, or the one that it was on.
    pub host: &'a str,
    /// Where somebody has said that its host is dead for good, which it is no longer on: the volumes whose data was lost there and that
    /// nobody has given up yet.
    pub bereft: Option<Vec<String>>,
    /// Whether it stays where it is whatever happens: it is stopped by hand, or being moved.
    pub stays: bool,
    /// How long a lease may still last by which its host holds it; `None` where nothing stops it there, because it has no lease or its host
    /// has not said that it goes by it.
    pub lease: Option<Duration>,
}

/// An instance that goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Which.
    pub slot: Slot,
    /// Host that is lost.
    pub from: String,
    /// Host that it starts on.
    pub to: String,
}

/// An instance that would go elsewhere and cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Which.
    pub slot: Slot,
    /// Host that it waits for.
    pub host: String,
    /// Why.
    pub why: Why,
}

/// Why an instance waits for its host, or for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// What was in these volumes is lost with its host, and nobody has said that it may start without.
    Lost(Vec<String>),
    /// Its host holds the permits of these volumes, and nobody can take them from it without its word.
    Permits(Vec<String>),
    /// Its host may still run it by a lease, which ends by itself.
    Lease,
    /// It is to be held by a lease, and its host has not said that it is.
    Unleased,
    /// What is in these volumes lies there.
    Data(Vec<String>),
    /// No other host may run it.
    Unplaceable(Unplaceable),
    /// Most hosts are out of reach.
    Alone(Alone),
}

/// Most hosts are out of reach: it is probably the one who looks that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alone {
    /// How many do not answer.
    pub silent: usize,
    /// How many there are.
    pub of: usize,
}

/// What follows for one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// What goes elsewhere.
    pub relocations: Vec<Relocation>,
    /// What waits.
    pub waits: Vec<Wait>,
    /// When the first lease ends that something waits for.
    pub next: Option<Duration>,
}

/// What is known of the hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losses {
    hosts: Vec<Host>,
    lost: Vec<String>,
    alone: Option<Alone>,
    next: Option<Duration>,
}

impl Losses {
    /// Of these hosts.
    #[must_use]
    pub fn of(standings: Vec<Standing>, grace: Grace) -> Self {
        let of = standings.len();
        let silent =
            standings.iter().filter(|it| matches!(it.contact, Contact::Connecting | Contact::Silent(_))).count();
        let mut losses = Self { hosts: Vec::new(), lost: Vec::new(), alone: None, next: None };
        for Standing { mut host, contact } in standings {
            let left = match contact {
                Contact::Answers | Contact::Connecting => None,
                Contact::Away(since) => Some(grace.away.saturating_sub(since)),
                Contact::Silent(since) => Some(grace.silent.saturating_sub(since)),
            };
            if contact != Contact::Answers {
                host.closed.get_or_insert_with(|| "does not answer".to_owned());
            }
            match left {
                None => {}
                Some(Duration::ZERO) => losses.lost.push(host.name.clone()),
                Some(left) => losses.next = Some(losses.next.map_or(left, |next| next.min(left))),
            }
            losses.hosts.push(host);
        }
        let alone = silent > 1 && silent * 2 > of && !losses.lost.is_empty();
        losses.alone = alone.then_some(Alone { silent, of });
        losses
    }

    /// Whether any host is lost.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether a host is lost.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.lost.iter().any(|it| it == host)
    }

    /// Whether most hosts are out of reach, so that nothing goes anywhere.
    #[must_use]
    pub fn alone(&self) -> Option<Alone> {
        self.alone
    }

    /// When the next host is lost if nothing is heard of it.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.next
    }

    /// What follows for the instances of one service.
    #[must_use]
    pub fn decide(&self, residents: &[Resident<'_>]) -> Decision {
        let mut decision = Decision::default();
        let mut placer = Placer::new(&self.hosts);
        let (leaving, staying): (Vec<_>, Vec<_>) = residents.iter().partition(|it| self.leaves(it));
        // Those that stay where they are come first, so that the others spread beside them.
        for it in staying {
            placer.hold(&it.role.name, &it.role.placement, it.host);
        }
        for it in leaving {
            let why = match (self.alone, held_back(it)) {
                (Some(alone), _) => Why::Alone(alone),
                (None, Some(why)) => why,
                (None, None) => match placer.place(&it.role.name, &it.role.placement, None) {
                    Ok(to) => {
                        let relocation =
                            Relocation { slot: it.slot.clone(), from: it.host.to_owned(), to: to.to_owned() };
                        decision.relocations.push(relocation);
                        continue;
                    }
                    Err(unplaceable) => Why::Unplaceable(unplaceable),
                },
            };
            if let (Why::Lease, Some(left)) = (&why, it.lease) {
                decision.next = Some(decision.next.map_or(left, |next| next.min(left)));
            }
            placer.hold(&it.role.name, &it.role.placement, it.host);
            decision.waits.push(Wait { slot: it.slot.clone(), host: it.host.to_owned(), why });
        }
        decision
    }

    fn leaves(&self, it: &Resident<'_>) -> bool {
        it.bereft.is_some() || (it.role.on_host_loss == OnHostLoss::Elsewhere && !it.stays && self.has(it.host))
    }
}

/// What keeps an instance from starting on another host.
fn held_back(it: &Resident<'_>) -> Option<Why> {
    let role = it.role;
    if let Some(lost) = &it.bereft {
        return (!lost.is_empty()).then(|| Why::Lost(lost.clone()));
    }
    if role.fence == Fence::Lease {
        let there = role.volumes.iter().filter(|(_, it)| !ANYWHERE.contains(&it.method.as_str()));
        let data: Vec<String> = there.map(|(name, _)| name.clone()).collect();
        return match it.lease {
            _ if !data.is_empty() => Some(Why::Data(data)),
            None => Some(Why::Unleased),
            Some(Duration::ZERO) => None,
            Some(_) => Some(Why::Lease),
        };
    }
    let of = |exclusive: bool| -> Vec<String> {
        let volumes = role.volumes.iter().filter(|(_, it)| (it.access == Access::Single) == exclusive);
        let bound = volumes.filter(|(_, it)| exclusive || !EVERYWHERE.contains(&it.method.as_str()));
        bound.map(|(name, _)| name.clone()).collect()
    };
    let (permits, data) = (of(true), of(false));
    if !permits.is_empty() {
        return Some(Why::Permits(permits));
    }
    (!data.is_empty()).then_some(Why::Data(data))
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slot, host, why } = self;
        if let Why::Lost(volumes) = why {
            let volumes = names(volumes);
            return write!(
                f,
                "{slot} waits: its {volumes} was lost with host {host}, and it does not start without unasked"
            );
        }
        write!(f, "{slot} waits for host {host}")?;
        match why {
            Why::Lost(_) => Ok(()),
            Why::Permits(volumes) => {
                let them = if volumes.len() == 1 { "it" } else { "them" };
                let volumes = names(volumes);
                write!(f, ", which holds its {volumes}: it may still write to {them}, so nobody else may")
            }
            Why::Lease => write!(f, ", which may run it until its lease has ended"),
            Why::Unleased => write!(f, ", which has not said since this server started that it goes by its lease"),
            Why::Data(volumes) => write!(f, ", where its {} is", names(volumes)),
            Why::Unplaceable(why) => write!(f, ": {why}"),
            Why::Alone(alone) => write!(f, ": {alone}"),
        }
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { silent, of } = self;
        write!(
            f,
            "{silent} of {of} hosts do not answer, so it is probably this server that is cut off, and nothing is started elsewhere"
        )
    }
}

fn names(volumes: &[String]) -> String {
    let word = if volumes.len() == 1 { "volume" } else { "volumes" };
    format!("{word} {}", volumes.join(", "))
}
