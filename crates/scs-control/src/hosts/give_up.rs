//! Giving up a host that does not answer: somebody says that it is dead for good. What it held is lost, what it ran is placed anew,
//! and should it come back all the same, it is a stranger.
//!
//! One transaction takes everything from it: its certificates, its places, and its permits, whose epochs rise. Its tombstones stay for the
//! case that the machine joins anew: what still runs there ends then, and its data is of an earlier epoch.

use crate::joining::{host_identity, revoke};
use crate::locks::Lock;
use crate::orchestrate::{Known, note};
use crate::service::{Handle, Shared};
use crate::state::{Draft, HostRecord, LostRecord, ServiceKey, ServiceRecord, Status, TombstoneRecord, VolumeRecord};
use scs_api::error::{Code, Problem};
use scs_api::host::GivenUp;
use scs_manifest::compiled::{Deployment, Fence};
use scs_plan::loss::{ANYWHERE, EVERYWHERE};
use std::collections::BTreeMap;
use std::time::SystemTime;

impl Handle {
    /// Forgets a host that does not answer, with all that lies there, because somebody says that it never comes back. Roles whose data is
    /// lost wait, or start with fresh volumes where `lose_data` says so; the others are placed anew.
    ///
    /// # Errors
    /// Where it answers, is part of a move, or a service of it is being changed: nothing was changed then.
    pub async fn give_up_host(&self, name: &str, lose_data: bool, who: &str) -> Result<GivenUp, Problem> {
        let shared = &self.shared;
        let Some(host) = shared.state.host(name).await? else { return Err(self.no_record(name)) };
        self.refuse_alive(name)?;
        self.refuse_while_moving(name).await?;
        let services = of_host(shared, name).await?;
        let what = format!("give up host {name}");
        let locks = services.keys().map(|service| shared.locks.take(service, &what, who));
        let _locks: Vec<Lock> = locks.collect::<Result<_, _>>()?;
        // From here on it is granted no lease.
        let _leases = shared.leases.hold().await;
        let mut draft = shared.state.draft().await;
        if draft.host(name).await?.as_ref() != Some(&host) || of_host(shared, name).await? != services {
            return Err(Problem::new(Code::StalePlan, format!("what is on host {name} was changed meanwhile"))
                .hint("nothing was changed; try again"));
        }
        let mut giving = Giving { shared, host, lose_data, who, now: SystemTime::now(), given_up: GivenUp::default() };
        let assigned = draft.raise().await?;
        for (service, record) in services {
            giving.take_from(&service, record, assigned, &mut draft).await?;
        }
        let Giving { host, given_up, now, .. } = giving;
        revoke(&mut draft, &host_identity(&host)?, host.certificates, now);
        draft.delete_host(name);
        draft.commit().await?;
        tracing::warn!(host.id = name, who, lose_data, lost = ?given_up.lost, "a host was given up for dead");
        shared.refresh().await?;
        Ok(given_up)
    }

    /// Whoever answers is not dead.
    fn refuse_alive(&self, name: &str) -> Result<(), Problem> {
        let members = self.shared.fleet.members();
        if members.get(name).is_some_and(|it| it.silent().is_some()) {
            return Ok(());
        }
        Err(Problem::new(Code::Conflict, format!("host {name} is not known to be out of reach")).hint(format!(
            "nothing was changed; a host that answers is emptied by `scs host drain {name}`; one that is dead is known to be silent after a few seconds"
        )))
    }

    async fn refuse_while_moving(&self, name: &str) -> Result<(), Problem> {
        let moves = self.shared.state.moves().await?;
        let Some(moving) = moves.iter().find(|it| it.from == name || it.to == name) else { return Ok(()) };
        let message = format!("{} is being moved from host {} to host {}", moving.slot, moving.from, moving.to);
        Err(Problem::new(Code::Locked, message).hint(
            "nothing was changed; `scs move ROLE --abort` ends that first, with `--assume-host-dead` where it is the target that is dead",
        ))
    }
}

/// Services that have, or had, something on a host.
async fn of_host(shared: &Shared, name: &str) -> Result<BTreeMap<ServiceKey, ServiceRecord>, Problem> {
    let mut found: BTreeMap<_, _> = shared.state.services().await?.into_iter().collect();
    let volumes = shared.state.volumes(None).await?;
    let holds = |service: &ServiceKey| {
        let mut there = volumes.iter().filter(|it| it.host == name);
        there.any(|it| ServiceKey::new(&it.id.environment, &it.id.service) == *service)
    };
    found.retain(|service, record| record.hosts.values().any(|it| it == name) || holds(service));
    Ok(found)
}

struct Giving<'a> {
    shared: &'a Shared,
    host: HostRecord,
    lose_data: bool,
    who: &'a str,
    now: SystemTime,
    given_up: GivenUp,
}

impl Giving<'_> {
    /// Takes places and permits of a service from the host.
    async fn take_from(
        &mut self,
        service: &ServiceKey,
        mut record: ServiceRecord,
        assigned: u64,
        draft: &mut Draft<'_>,
    ) -> Result<(), Problem> {
        if draft.service(service).await?.as_ref() != Some(&record) {
            return Err(Problem::new(Code::StalePlan, format!("{service} was changed meanwhile"))
                .hint("nothing was changed; try again"));
        }
        let deployment = Known::load(self.shared, service, Some(record.clone())).await?.deployment;
        let lost = self.volumes(service, deployment.as_ref(), draft).await?;
        let name = &self.host.name;
        let places: Vec<String> =
            record.hosts.iter().filter(|(_, it)| *it == name).map(|(place, _)| place.clone()).collect();
        for place in places {
            record.hosts.remove(&place);
            let Some((role, index)) = place.rsplit_once('/') else { continue };
            let slot = service.slot(role, index.parse().unwrap_or_default());
            draft.put_tombstone(&slot, &TombstoneRecord { host: name.clone(), revision: assigned });
            if record.status != Status::Up {
                continue;
            }
            let waits = !self.lose_data && lost.iter().any(|it| it.used_by(&slot));
            if waits { &mut self.given_up.waiting } else { &mut self.given_up.elsewhere }.push(slot);
            record.bereft.insert(place, name.clone());
        }
        self.given_up.lost.extend(lost.iter().map(|it| it.id.to_string()));
        note(self.shared, service, &mut record, self.who, format!("give up host {name}"), draft).await
    }

    /// Takes its volumes from the host; gives those whose data is lost.
    async fn volumes(
        &self,
        service: &ServiceKey,
        deployment: Option<&Deployment>,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<VolumeRecord>, Problem> {
        let mut lost = Vec::new();
        for volume in self.shared.state.volumes(Some(service)).await? {
            let Some(mut volume) = draft.volume(&volume.id).await?.filter(|it| it.host == self.host.name) else {
                continue;
            };
            let role = deployment.and_then(|it| it.roles.get(&volume.id.role));
            let anywhere =
                if role.is_some_and(|it| it.fence == Fence::Lease) { &ANYWHERE[..] } else { &EVERYWHERE[..] };
            volume.revoke();
            if !anywhere.contains(&volume.method.as_str()) {
                volume.lost = Some(LostRecord { who: self.who.to_owned(), at: self.now });
                if self.lose_data {
                    volume.renew();
                }
                lost.push(volume.clone());
            }
            draft.put_volume(&volume);
        }
        Ok(lost)
    }
}
