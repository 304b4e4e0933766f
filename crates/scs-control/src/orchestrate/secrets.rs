//! Secrets: where values come from, and how a new one reaches whoever uses it.

use super::commit::running;
use super::events::{EventStream, Events};
use super::follow::{Ears, addresses, follow, last};
use super::planning::{Known, check_origin};
use crate::progress::{Goal, Tracker, Want};
use crate::service::{Handle, Shared};
use crate::state::{Draft, SecretRecord, ServiceKey};
use crate::vault;
use scs_api::deploy::Caller;
use scs_api::error::{Code, Problem};
use scs_api::secret::{RotateSecret, SecretInfo, SecretValue, SetSecret};
use scs_manifest::compiled::{Deployment, LiveAction, OnFailure, Role, SecretAs, SecretSource, SecretUse};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// A value longer than this is no secret but a file.
const LONGEST: usize = 1 << 20;
/// How long a rotated secret is where its manifest does not say.
const GENERATED: u32 = 32;
const BY_HAND: &str = "set by hand";

/// Gives every secret that a deployment uses a value; says which ones have another one than before.
pub(super) async fn resolve(
    shared: &Shared,
    service: &ServiceKey,
    deployment: &Deployment,
    given: &BTreeMap<String, SecretValue>,
    now: SystemTime,
    draft: &mut Draft<'_>,
    warnings: &mut Vec<String>,
) -> Result<BTreeSet<String>, Problem> {
    let used: BTreeSet<&String> =
        deployment.roles.values().flat_map(|role| role.secrets.values()).map(|it| &it.from).collect();
    let mut renewed = BTreeSet::new();
    for (name, source) in &deployment.secrets {
        let existing = draft.secret(service, name).await?;
        let value = match (source, given.get(name)) {
            (SecretSource::Generate(_), _) if existing.is_some() => continue,
            (SecretSource::Generate(length), _) => vault::generate(*length).map_err(|error| failed(&error))?,
            (_, Some(value)) => {
                check_value(name, value)?;
                value.clone()
            }
            (_, None) if existing.is_some() || !used.contains(name) => continue,
            (source, None) => {
                let message = format!("secret {name} comes from {}, and no value was given", in_words(source));
                return Err(Problem::new(Code::BadRequest, message).hint("nothing was changed"));
            }
        };
        if let Some(existing) = &existing {
            // What cannot be opened any more is replaced.
            let old = shared.vault.unseal(&service.seal(name), &existing.sealed).ok();
            if old.as_ref() == Some(&value) {
                continue;
            }
            if existing.source == BY_HAND {
                warnings.push(format!("secret {name} was set by hand; it has the value of {} again", in_words(source)));
            }
            renewed.insert(name.clone());
        }
        draft.put_secret(service, &record(shared, service, name, &value, in_words(source), now)?);
    }
    Ok(renewed)
}

/// Names under which a role uses renewed secrets and is told of it while it runs.
pub(super) fn told(role: &Role, renewed: &BTreeSet<String>) -> BTreeMap<String, OnFailure> {
    let tells = |action: &LiveAction| matches!(action, LiveAction::Command(_) | LiveAction::Signal(_));
    let used = role.secrets.iter().filter(|(_, it)| renewed.contains(&it.from));
    // A new value in the environment needs a new container, whatever the live update is.
    used.filter(|(_, it)| {
        it.r#as == SecretAs::Environment || tells(&it.liveupdate.action) || it.liveupdate.action == LiveAction::Restart
    })
    .map(|(name, secret)| (name.clone(), secret.liveupdate.on_failure))
    .collect()
}

/// What is said of a slot once a renewed secret has reached it.
pub(super) fn word(role: &Role, told: &BTreeMap<String, OnFailure>) -> &'static str {
    let replaces = |it: &SecretUse| it.r#as == SecretAs::Environment || it.liveupdate.action == LiveAction::Restart;
    if told.keys().filter_map(|name| role.secrets.get(name)).any(replaces) { "running" } else { "live-updated" }
}

impl Handle {
    /// Secrets of a service, without their values.
    pub async fn secrets(&self, environment: &str, service: &str) -> Result<Vec<SecretInfo>, Problem> {
        let (shared, service) = (&self.shared, ServiceKey::new(environment, service));
        let record = shared.state.service(&service).await?.ok_or_else(|| not_found(&service))?;
        let known = Known::load(shared, &service, Some(record)).await?;
        let uses = |name: &str| -> Vec<String> {
            let roles = known.deployment.iter().flat_map(|it| it.roles.values());
            let uses = roles.flat_map(|role| role.secrets.iter().map(move |(own, it)| (role, own, it)));
            uses.filter(|(_, _, it)| it.from == name).map(|(role, own, _)| format!("{}:{own}", role.name)).collect()
        };
        let secrets = shared.state.secrets(&service).await?;
        let info = |it: SecretRecord| SecretInfo {
            used_by: uses(&it.name),
            name: it.name,
            source: it.source,
            changed: it.changed,
        };
        Ok(secrets.into_iter().map(info).collect())
    }

    /// Sets the value of a secret, and follows it into the containers that use it.
    pub async fn set_secret(
        &self,
        environment: &str,
        service: &str,
        name: &str,
        request: SetSecret,
    ) -> Result<EventStream, Problem> {
        check_value(name, &request.value)?;
        self.renew_secret(environment, service, name, Some(request.value), request.caller).await
    }

    /// Generates a new value for a secret, and follows it into the containers that use it.
    pub async fn rotate_secret(
        &self,
        environment: &str,
        service: &str,
        name: &str,
        request: RotateSecret,
    ) -> Result<EventStream, Problem> {
        self.renew_secret(environment, service, name, None, request.caller).await
    }

    async fn renew_secret(
        &self,
        environment: &str,
        service: &str,
        name: &str,
        value: Option<SecretValue>,
        caller: Caller,
    ) -> Result<EventStream, Problem> {
        let (shared, service) = (self.shared.clone(), ServiceKey::new(environment, service));
        let lock = shared.locks.take(&service, "secret", &caller.who)?;
        let mut ears = Ears::new(&shared);
        let before = shared.reports();
        let mut draft = shared.state.draft().await;
        let service_record = draft.service(&service).await?.ok_or_else(|| not_found(&service))?;
        check_origin(&service, &service_record, &caller)?;
        let known = Known::load(&shared, &service, Some(service_record.clone())).await?;
        let source = known.deployment.as_ref().and_then(|it| it.secrets.get(name)).cloned();
        let existing = draft.secret(&service, name).await?;
        if source.is_none() && existing.is_none() {
            return Err(Problem::new(Code::NotFound, format!("{service} has no secret {name}")));
        }
        let now = SystemTime::now();
        let (value, source) = match (value, &source) {
            (Some(value), _) => (value, BY_HAND.to_owned()),
            (None, Some(SecretSource::Generate(length))) => {
                (vault::generate(*length).map_err(|error| failed(&error))?, "generated".to_owned())
            }
            (None, Some(source)) => {
                let message =
                    format!("secret {name} comes from {}, so that it cannot be rotated here", in_words(source));
                return Err(
                    Problem::new(Code::Conflict, message).hint("nothing was changed; change it there and run `scs up`")
                );
            }
            (None, None) => (vault::generate(GENERATED).map_err(|error| failed(&error))?, "generated".to_owned()),
        };
        draft.put_secret(&service, &record(&shared, &service, name, &value, source, now)?);
        let assigned = draft.raise().await?;
        draft.commit().await?;
        shared.refresh().await?;

        let renewed = BTreeSet::from([name.to_owned()]);
        let goals = known.deployment.as_ref().map(|it| users(&service, it, &service_record, &renewed, now));
        let mut tracker =
            Tracker::new(tokio::time::Instant::now().into_std(), assigned, goals.unwrap_or_default(), &before);
        let (events, stream) = Events::channel();
        let revision = service_record.revision;
        shared.clone().spawn(async move {
            let followed = follow(&shared, &service, &mut tracker, &mut ears, &events, false).await;
            drop(lock);
            let found = || known.deployment.iter().flat_map(|it| addresses(&shared, &service, it)).collect();
            if let Some(event) = last(followed, revision, found) {
                events.send(event).await;
            }
        });
        Ok(stream)
    }
}

/// Goals of the slots that a renewed secret is to reach.
fn users(
    service: &ServiceKey,
    deployment: &Deployment,
    record: &crate::state::ServiceRecord,
    renewed: &BTreeSet<String>,
    now: SystemTime,
) -> Vec<Goal> {
    let mut goals = Vec::new();
    for role in deployment.roles.values() {
        let told = told(role, renewed);
        for index in (0..role.replicas).filter(|_| !told.is_empty()) {
            let Some(host) = record.host(&role.name, index).filter(|_| !record.is_stopped(&role.name, index)) else {
                continue;
            };
            let mut goal = running(service.slot(&role.name, index), host.to_owned(), role, record, now, Vec::new());
            goal.word = word(role, &told);
            if let Want::Running(running) = &mut goal.want {
                running.told.clone_from(&told);
            }
            goals.push(goal);
        }
    }
    goals
}

fn record(
    shared: &Shared,
    service: &ServiceKey,
    name: &str,
    value: &SecretValue,
    source: String,
    now: SystemTime,
) -> Result<SecretRecord, Problem> {
    let sealed = shared.vault.seal(&service.seal(name), value).map_err(|error| failed(&error))?;
    Ok(SecretRecord { name: name.to_owned(), sealed, source, changed: now })
}

fn check_value(name: &str, value: &SecretValue) -> Result<(), Problem> {
    if value.expose().len() > LONGEST {
        let message = format!("the value of secret {name} is longer than 1 MiB");
        return Err(Problem::new(Code::BadRequest, message).hint("nothing was changed"));
    }
    Ok(())
}

fn failed(error: &vault::Error) -> Problem {
    Problem::of(Code::Internal, error)
}

pub(super) fn not_found(service: &ServiceKey) -> Problem {
    Problem::new(Code::NotFound, format!("there is no service {service}")).hint("`scs ps` lists what there is")
}

fn in_words(source: &SecretSource) -> String {
    match source {
        SecretSource::Generate(_) => "generated".to_owned(),
        SecretSource::File(path) => format!("file {path}"),
        SecretSource::Environment(name) => format!("environment variable {name}"),
        SecretSource::Command(command) => format!("command {}", command.first().map_or("", String::as_str)),
    }
}
