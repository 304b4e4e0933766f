//! Whether a move can be made at all, and its beginning. What is refused is refused before anything is changed.

use super::record::begin;
use super::{refuse_moving, run};
use crate::fleet::{Member, missing};
use crate::orchestrate::events::{EventStream, Events};
use crate::orchestrate::follow::{Followed, addresses, last};
use crate::orchestrate::planning::{Known, check_origin};
use crate::orchestrate::roles::no_instance;
use crate::orchestrate::secrets::not_found;
use crate::progress::Limits;
use crate::service::{Handle, Shared};
use crate::state::{ServiceKey, ServiceRecord, Status, VolumeRecord, volume_id};
use futures_util::StreamExt as _;
use scs_api::deploy::{BuildRequest, Caller, Event, MoveRequest};
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::{Access, Deployment, Role};
use scs_plan::movement::{Options, Record, Stage};
use scs_plan::placement::{self, Host};
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Methods whose volumes are copied from host to host.
const COPIED: [&str; 3] = ["local", "sub", "docker"];

/// What is to be moved, and where to.
pub(super) struct Asked {
    pub(super) record: Record,
    pub(super) deployment: Deployment,
    pub(super) service_record: ServiceRecord,
}

impl Handle {
    /// Moves an instance to another host. It goes on when nobody reads the events.
    pub async fn move_role(
        &self,
        environment: &str,
        service: &str,
        role: &str,
        request: MoveRequest,
    ) -> Result<EventStream, Problem> {
        let (shared, service) = (self.shared.clone(), ServiceKey::new(environment, service));
        let lock = shared.locks.take(&service, &format!("move {role} to {}", request.host), &request.caller.who)?;
        let asked = ask(&shared, &service, role, &request).await?;
        let (events, stream) = Events::channel();
        shared.clone().spawn(async move {
            let deployment = asked.deployment.clone();
            let moved = carry_out(&shared, &service, asked, &events).await;
            drop(lock);
            let followed = match moved {
                Ok(Some(_)) => Followed::Reached,
                Ok(None) => Followed::Unread,
                Err(problem) => Followed::Failed(problem),
            };
            let revision = shared.state.service(&service).await.ok().flatten().map_or(0, |it| it.revision);
            if let Some(event) = last(followed, revision, || addresses(&shared, &service, &deployment)) {
                events.send(event).await;
            }
        });
        Ok(stream)
    }
}

/// Moves an instance as a part of another change, which holds the service's lock. Gives the service's revision after it, or `None`
/// where the server ends before.
pub(in crate::orchestrate) async fn along(
    shared: &Arc<Shared>,
    service: &ServiceKey,
    slot: &Slot,
    host: String,
    who: &str,
    events: &Events,
) -> Result<Option<u64>, Problem> {
    let caller = Caller { who: who.to_owned(), ..Caller::default() };
    let request = MoveRequest { index: Some(slot.index), host, caller, ..MoveRequest::default() };
    let asked = ask(shared, service, &slot.role, &request).await?;
    carry_out(shared, service, asked, events).await
}

async fn carry_out(
    shared: &Arc<Shared>,
    service: &ServiceKey,
    asked: Asked,
    events: &Events,
) -> Result<Option<u64>, Problem> {
    let place = shared.moves.enter(&asked.record.slot);
    let doing = format!("getting its image to {}", asked.record.to);
    events.send(Event::Step { slot: asked.record.slot.clone(), doing }).await;
    build(shared, &asked, events).await?;
    let record = begin(shared, service, asked).await?;
    run::run(shared, record, events, place).await
}

/// Checks everything that can be checked beforehand.
async fn ask(shared: &Shared, service: &ServiceKey, role: &str, request: &MoveRequest) -> Result<Asked, Problem> {
    refuse_moving(shared, service).await?;
    let record = shared.state.service(service).await?.ok_or_else(|| not_found(service))?;
    check_origin(service, &record, &request.caller)?;
    let known = Known::load(shared, service, Some(record.clone())).await?;
    let deployment = known.deployment.filter(|_| record.status == Status::Up).ok_or_else(|| {
        Problem::new(Code::Conflict, format!("{service} is not up")).hint("nothing was changed; `scs up` brings it up")
    })?;
    let Some(wanted) = deployment.roles.get(role) else {
        let roles: Vec<&str> = deployment.roles.keys().map(String::as_str).collect();
        let message = format!("{service} has no role {role}; it has {}", roles.join(", "));
        return Err(Problem::new(Code::NotFound, message));
    };
    let slot = slot(service, wanted, request.index)?;
    let Some(from) = record.host(role, slot.index).map(str::to_owned) else {
        return Err(refused(format!("{slot} is on no host")));
    };
    let members = shared.fleet.members();
    let to = members.get(&request.host).ok_or_else(|| missing(&request.host))?;
    if from == request.host {
        return Err(refused(format!("{slot} is on host {from} already")));
    }
    let volumes = volumes(shared, service, &slot, wanted, &from).await?;
    check_source(members.get(&from), &from, &slot, &volumes)?;
    let forced = check_target(to, &request.host, wanted, request.force)?;
    let left = shared.state.tombstones(Some(service)).await?;
    if left.iter().any(|(gone, it)| *gone == slot && it.host == request.host) {
        return Err(refused(format!("host {} has not removed yet what {slot} left there", request.host)));
    }
    let now = SystemTime::now();
    let limits = Limits::of(wanted);
    let copies = !volumes.is_empty();
    let moving = Record {
        id: crate::vault::token(8).map_err(|error| Problem::of(Code::Internal, &error))?,
        idle: record.is_stopped(role, slot.index),
        from,
        to: request.host.clone(),
        volumes,
        quiesce: wanted.quiesce.is_some(),
        patience: limits.wait + limits.work,
        options: Options {
            max_downtime: request.max_downtime_ms.map(Duration::from_millis),
            bandwidth: request.bandwidth,
            forced,
        },
        who: request.caller.who.clone(),
        began: now,
        stage: if copies { Stage::Copying } else { Stage::Beside },
        since: now,
        revision: 0,
        down_since: None,
        fault: None,
        slot,
    };
    Ok(Asked { record: moving, deployment, service_record: record })
}

fn refused(message: String) -> Problem {
    Problem::new(Code::Conflict, message).hint("nothing was changed")
}

fn slot(service: &ServiceKey, role: &Role, index: Option<u32>) -> Result<Slot, Problem> {
    let index = match index {
        Some(index) if index >= role.replicas => {
            return Err(no_instance(&service.slot(&role.name, index), role.replicas));
        }
        Some(index) => index,
        None if role.replicas == 1 => 0,
        None => {
            let name = &role.name;
            return Err(refused(format!("role {name} has {} instances: say which, e.g. {name}.0", role.replicas)));
        }
    };
    Ok(service.slot(&role.name, index))
}

/// The exclusive volumes that go with a slot, and the epochs of their permits.
async fn volumes(
    shared: &Shared,
    service: &ServiceKey,
    slot: &Slot,
    role: &Role,
    from: &str,
) -> Result<BTreeMap<String, u64>, Problem> {
    let records = shared.state.volumes(Some(service)).await?;
    let records: HashMap<_, VolumeRecord> = records.into_iter().map(|it| (it.id.clone(), it)).collect();
    let mut going = BTreeMap::new();
    for (name, volume) in &role.volumes {
        let id = volume_id(slot, name, volume.access == Access::Shared);
        let cannot = |why: &str| Err(refused(format!("{slot} cannot be moved: volume {id} {why}")));
        if volume.access == Access::Shared {
            return cannot("is shared by all instances of the role and lies on one host");
        }
        match volume.method.as_str() {
            "bind" => return cannot(&format!("is a directory of its user's on host {from}")),
            method if !COPIED.contains(&method) => {
                return cannot(&format!("is of method {method}, which cannot be copied"));
            }
            _ => {}
        }
        let Some(record) = records.get(&id) else { return cannot("is not in desired state") };
        match &record.permit {
            Some(permit) if permit.holder == from => drop(going.insert(name.clone(), permit.epoch)),
            Some(permit) => return cannot(&format!("may be written to by host {} alone", permit.holder)),
            None => return cannot("has no permit that could pass on"),
        }
    }
    Ok(going)
}

fn check_source(
    member: Option<&Member>,
    from: &str,
    slot: &Slot,
    volumes: &BTreeMap<String, u64>,
) -> Result<(), Problem> {
    let silent = match member {
        None => "is not there any more".to_owned(),
        Some(member) => match member.silent() {
            None => return Ok(()),
            Some(silent) => silent.to_string(),
        },
    };
    let lost = if volumes.is_empty() {
        "it may still run there, and would run twice".to_owned()
    } else {
        let names: Vec<&str> = volumes.keys().map(String::as_str).collect();
        format!("what is in its volumes ({}) is there and nowhere else, and would be lost", names.join(", "))
    };
    Err(Problem::new(Code::Conflict, format!("{slot} cannot be moved: host {from} {silent}"))
        .hint(format!("nothing was changed; {lost}")))
}

/// Whether it takes force for the slot to be there.
fn check_target(to: &Member, name: &str, role: &Role, force: bool) -> Result<bool, Problem> {
    if let Some(silent) = to.silent() {
        return Err(refused(format!("host {name} {silent}")));
    }
    if to.drained {
        return Err(refused(format!("host {name} is drained and takes nothing new")));
    }
    let host = Host { name: name.to_owned(), labels: to.labels.clone(), seen: true, closed: None };
    if placement::allows(&role.placement, &host) {
        return Ok(false);
    }
    if !force {
        let message = format!("the manifest's placement of role {} does not let it be on host {name}", role.name);
        return Err(Problem::new(Code::Conflict, message)
            .hint("nothing was changed; change `place`, or break it on purpose with `--force`"));
    }
    Ok(true)
}

/// Has the image on the target before anything stops: what has to be built would be downtime.
async fn build(shared: &Arc<Shared>, asked: &Asked, events: &Events) -> Result<(), Problem> {
    let agent = shared.fleet.agent(&asked.record.to)?;
    let request = BuildRequest {
        deployment: asked.deployment.clone(),
        origin: asked.service_record.origin.clone(),
        roles: vec![asked.record.slot.role.clone()],
    };
    let mut building = agent.build(request).await?;
    while let Some(event) = building.next().await {
        match event {
            Event::Failed { problem } => {
                let hint = format!("nothing was changed; it runs on host {} as before", asked.record.from);
                return Err(Problem { hint: Some(hint), ..problem });
            }
            Event::Output { line, .. } => {
                events.send(Event::Output { slot: asked.record.slot.clone(), line }).await;
            }
            _ => {}
        }
    }
    Ok(())
}
