//! Hosts as people ask for them: listed, looked at, labelled, marked as drained, removed.

mod give_up;

use crate::agents::Reachability;
use crate::fleet::{Member, missing};
use crate::joining::{check_labels, host_identity, revoke};
use crate::service::Handle;
use crate::state::{Error as StateError, HostRecord, Status, VolumeRecord};
use scs_api::agent::SlotReport;
use scs_api::error::{Code, Problem};
use scs_api::host::{Answers, HostDetails, HostInfo, LabelRequest, SlotThere};
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

/// What lies on hosts, as desired state has it.
struct Load {
    wanted: BTreeMap<String, BTreeSet<Slot>>,
    leaving: BTreeMap<String, BTreeSet<Slot>>,
    volumes: BTreeMap<String, Vec<VolumeRecord>>,
}

impl Load {
    async fn read(handle: &Handle) -> Result<Self, StateError> {
        let state = &handle.shared.state;
        let (mut wanted, mut leaving): (BTreeMap<String, BTreeSet<Slot>>, BTreeMap<_, BTreeSet<_>>) =
            Default::default();
        for (service, record) in state.services().await?.into_iter().filter(|(_, it)| it.status != Status::Down) {
            for (place, host) in &record.hosts {
                let Some((role, index)) = place.rsplit_once('/') else { continue };
                let Ok(index) = index.parse() else { continue };
                wanted.entry(host.clone()).or_default().insert(service.slot(role, index));
            }
        }
        for (slot, tombstone) in state.tombstones(None).await? {
            leaving.entry(tombstone.host).or_default().insert(slot);
        }
        let mut volumes: BTreeMap<String, Vec<VolumeRecord>> = BTreeMap::new();
        for volume in state.volumes(None).await? {
            volumes.entry(volume.host.clone()).or_default().push(volume);
        }
        Ok(Self { wanted, leaving, volumes })
    }
}

impl Handle {
    /// Every host, by name.
    pub async fn hosts(&self) -> Result<Vec<HostInfo>, Problem> {
        let load = Load::read(self).await?;
        let records = self.host_records().await?;
        let members = self.shared.fleet.members();
        let names: BTreeSet<&String> = members.keys().chain(records.keys()).collect();
        Ok(names.into_iter().map(|name| info(name, records.get(name), members.get(name), &load)).collect())
    }

    /// One host, and what is there.
    pub async fn host(&self, name: &str) -> Result<HostDetails, Problem> {
        let load = Load::read(self).await?;
        let records = self.host_records().await?;
        let members = self.shared.fleet.members();
        let (record, member) = (records.get(name), members.get(name));
        if record.is_none() && member.is_none() {
            return Err(missing(name));
        }
        let engine = match member.filter(|it| it.silent().is_none()) {
            Some(member) => member.agent.engine().await.ok(),
            None => None,
        };
        let mut report = member.map(|it| it.agent.report().borrow().clone()).unwrap_or_default();
        report.problems.extend(self.shared.refusals.borrow().get(name).map(ToString::to_string));
        Ok(HostDetails {
            host: info(name, record, member, &load),
            engine,
            problems: report.problems,
            slots: slots(name, &report.slots, &load),
            volume_ids: load.volumes.get(name).into_iter().flatten().map(|it| it.id.to_string()).collect(),
        })
    }

    /// Changes labels of a host. What runs stays where it is; what is placed next goes by them.
    pub async fn label_host(&self, name: &str, request: LabelRequest) -> Result<HostDetails, Problem> {
        check_labels(&request.set)?;
        self.change_host(name, |record| {
            record.labels.retain(|label, _| !request.remove.contains(label));
            record.labels.extend(request.set);
        })
        .await
    }

    /// Marks a host as one that takes nothing new, or as one that does again. What is there stays.
    pub async fn mark_drained(&self, name: &str, drained: bool) -> Result<HostDetails, Problem> {
        self.change_host(name, |record| record.drained = drained).await
    }

    /// Forgets a host that nothing lies on, and revokes its certificates.
    pub async fn remove_host(&self, name: &str) -> Result<(), Problem> {
        let mut draft = self.shared.state.draft().await;
        let Some(record) = draft.host(name).await? else { return Err(self.no_record(name)) };
        // Read within the draft's turn: nothing is placed there meanwhile.
        self.refuse_while_used(name).await?;
        revoke(&mut draft, &host_identity(&record)?, record.certificates, SystemTime::now());
        draft.delete_host(name);
        draft.commit().await?;
        self.shared.refresh().await?;
        Ok(())
    }

    async fn refuse_while_used(&self, name: &str) -> Result<(), Problem> {
        let load = Load::read(self).await?;
        let volumes: Vec<String> = load.volumes.get(name).into_iter().flatten().map(|it| it.id.to_string()).collect();
        let there = load.wanted.get(name).into_iter().chain(load.leaving.get(name)).flatten();
        let slots: BTreeSet<String> = there.map(ToString::to_string).collect();
        if volumes.is_empty() && slots.is_empty() {
            return Ok(());
        }
        let mut holds = Vec::new();
        if !volumes.is_empty() {
            holds.push(format!("volumes of desired state ({})", few(&volumes)));
        }
        if !slots.is_empty() {
            holds.push(format!("containers ({})", few(&slots.into_iter().collect::<Vec<_>>())));
        }
        let silent = self.shared.fleet.members().get(name).and_then(Member::silent);
        let hint = match &silent {
            Some(_) => format!(
                "nothing was changed; it is waited for as long as it may come back. `scs host rm {name} --assume-host-dead` says that it \
                 never does: what lies there is lost then"
            ),
            None => {
                format!(
                    "nothing was changed; `scs host drain {name}` and `scs move` empty it, `scs volume rm` deletes data"
                )
            }
        };
        let silent = silent.map(|it| format!(", and {it}")).unwrap_or_default();
        Err(Problem::new(Code::Conflict, format!("host {name} holds {}{silent}", holds.join(" and "))).hint(hint))
    }

    async fn change_host(&self, name: &str, change: impl FnOnce(&mut HostRecord)) -> Result<HostDetails, Problem> {
        let mut draft = self.shared.state.draft().await;
        let Some(mut record) = draft.host(name).await? else { return Err(self.no_record(name)) };
        change(&mut record);
        draft.put_host(&record);
        // Its labels are told along with what is assigned to it.
        draft.raise().await?;
        draft.commit().await?;
        self.shared.refresh().await?;
        self.host(name).await
    }

    /// Why a host cannot be changed: it is not there, or is this machine itself.
    fn no_record(&self, name: &str) -> Problem {
        if self.shared.fleet.members().contains_key(name) {
            return Problem::new(Code::Conflict, format!("host {name} is the server's own machine and has not joined"))
                .hint("nothing was changed; only hosts that have joined are labelled, drained and removed");
        }
        missing(name)
    }

    async fn host_records(&self) -> Result<HashMap<String, HostRecord>, StateError> {
        Ok(self.shared.state.hosts().await?.into_iter().map(|it| (it.name.clone(), it)).collect())
    }
}

fn info(name: &str, record: Option<&HostRecord>, member: Option<&Member>, load: &Load) -> HostInfo {
    let answers = match member.map(|it| it.agent.reachable().borrow().clone()) {
        Some(Reachability::Reachable { .. }) => Answers::Yes,
        Some(Reachability::Unreachable { since, why, .. }) => Answers::No { since, why },
        Some(Reachability::Connecting) | None => Answers::Connecting,
    };
    let labels = record.map(|it| it.labels.clone()).or_else(|| member.map(|it| it.labels.clone()));
    HostInfo {
        name: name.to_owned(),
        address: record.map(|it| it.address.clone()),
        labels: labels.unwrap_or_default(),
        drained: record.is_some_and(|it| it.drained),
        answers,
        joined: record.map(|it| it.joined),
        version: record.map(|it| it.version.clone()).filter(|it| !it.is_empty()),
        certificate_ends: record.and_then(|it| it.certificates.last()).map(|it| it.not_after),
        instances: load.wanted.get(name).map_or(0, BTreeSet::len),
        volumes: load.volumes.get(name).map_or(0, Vec::len),
    }
}

fn slots(name: &str, reported: &[SlotReport], load: &Load) -> Vec<SlotThere> {
    let none = BTreeSet::new();
    let wanted = load.wanted.get(name).unwrap_or(&none);
    let leaving = load.leaving.get(name).unwrap_or(&none);
    let all: BTreeSet<&Slot> = wanted.iter().chain(leaving).chain(reported.iter().map(|it| &it.slot)).collect();
    let there = |slot: &Slot| SlotThere {
        slot: slot.clone(),
        phase: reported.iter().find(|it| it.slot == *slot).map(|it| it.phase),
        wanted: wanted.contains(slot) && !leaving.contains(slot),
    };
    all.into_iter().map(there).collect()
}

/// The first few of a list, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
