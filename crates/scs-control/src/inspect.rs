//! Looking at what is there, and the few things done to hosts that are no change of a service.

mod partial;
mod volumes;

pub use partial::Partial;

use crate::agents::ExecSession;
use crate::fleet::Member;
use crate::orchestrate::no_instance;
use crate::service::Handle;
use crate::state::{ServiceKey, Status};
use futures_util::stream::{BoxStream, StreamExt, select_all};
use scs_api::agent::Phase;
use scs_api::error::{Code, Problem};
use scs_api::inspect::{Explanation, Instance, Version};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_manifest::compiled::{Query, RequireMethod};
use scs_plan::slot::Slot;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a host whose engine does not answer makes of what it said.
const BLIND: &str = "what is shown of it is what it saw last";

/// Which instances are asked for; what is left out matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
pub struct InstanceQuery {
    /// Environment.
    pub environment: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Role.
    pub role: Option<String>,
}

impl InstanceQuery {
    /// Whether a slot is asked for.
    #[must_use]
    pub fn matches(&self, slot: &Slot) -> bool {
        let matches = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        matches(&self.environment, &slot.environment)
            && matches(&self.service, &slot.service)
            && matches(&self.role, &slot.role)
    }
}

impl Handle {
    /// What answers, and what it looks after.
    pub async fn version(&self) -> Version {
        let mut engine = None;
        for member in self.shared.fleet.members().values().filter(|it| it.silent().is_none()) {
            engine = engine.or(member.agent.engine().await.ok());
        }
        Version {
            version: self.shared.options.version.clone(),
            pid: std::process::id(),
            disco: self.shared.discovery.address(),
            engine,
            services: self.shared.services.borrow().clone(),
        }
    }

    /// Instances as their hosts see them, by name.
    #[must_use]
    pub fn instances(&self, query: &InstanceQuery) -> Vec<Instance> {
        let all = self.shared.reports().into_iter().flat_map(|host| {
            let (name, problem) = (host.host, host.problems.first().cloned());
            host.slots.into_iter().map(move |mut report| {
                // Nobody knows whether it still does.
                if let Some(problem) = problem.as_ref().filter(|_| report.phase == Phase::Running) {
                    report.message = Some(format!("seen last before this: {problem}"));
                }
                Instance { host: name.clone(), report }
            })
        });
        let mut found: Vec<Instance> = all.filter(|it| query.matches(&it.report.slot)).collect();
        found.sort_by(|a, b| a.report.slot.cmp(&b.report.slot));
        found
    }

    /// Environments in which anything was ever brought up, in order.
    pub async fn environments(&self) -> Result<BTreeSet<String>, Problem> {
        let services = self.shared.state.services().await?;
        Ok(services.into_iter().map(|(service, _)| service.environment).collect())
    }

    /// A warning for each host that instances of the query are, or were, on and that does not answer, or whose engine does not.
    pub async fn silent_hosts(&self, query: &InstanceQuery) -> Result<Vec<String>, Problem> {
        let hosts = self.shared.hosts_of(query.environment.as_deref(), query.service.as_deref()).await?;
        let mut warnings =
            self.shared.silent_hosts(|host| hosts.contains(host), "what is shown of it is what it said last");
        let silent = self.shared.fleet.silent();
        let reports = self.shared.reports();
        for report in reports.iter().filter(|it| hosts.contains(&it.host) && !silent.contains_key(&it.host)) {
            let blind = |problem| format!("host {}: {problem}; {BLIND}", report.host);
            warnings.extend(report.problems.iter().map(blind));
        }
        Ok(warnings)
    }

    /// Log lines of all hosts that answer.
    pub async fn logs(&self, query: LogQuery) -> Result<Partial<BoxStream<'static, LogLine>>, Problem> {
        let hosts = self.shared.hosts_of(Some(&query.environment), query.service.as_deref()).await?;
        let mut warnings = self.shared.silent_hosts(|host| hosts.contains(host), "its lines are missing");
        let ask = |member: Member| {
            let query = query.clone();
            async move { member.agent.logs(query).await }
        };
        let asked = self.shared.ask_all(ask, "gives no logs").await?;
        warnings.extend(asked.warnings);
        Ok(Partial { value: select_all(asked.value).boxed(), warnings })
    }

    /// The environment of the container of a run id.
    pub(crate) fn environment_of(&self, instance: &str) -> Option<String> {
        let reports = self.shared.reports();
        let mut slots = reports.iter().flat_map(|it| &it.slots);
        let slot = slots.find(|it| it.container.as_ref().is_some_and(|it| it.instance == instance));
        slot.map(|it| it.slot.environment.clone())
    }

    /// Runs a command in the container of a run id.
    pub async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem> {
        let reports = self.shared.reports();
        let host = reports
            .iter()
            .find(|host| host.slots.iter().filter_map(|it| it.container.as_ref()).any(|it| it.instance == instance));
        let host = host.ok_or_else(|| {
            Problem::new(Code::NotFound, format!("there is no container {instance}"))
                .hint("`scs ps` lists what there is")
        })?;
        self.shared.fleet.agent(&host.host)?.exec(instance, query).await
    }

    /// Why a requirement has the endpoints it has: the registry's view and the agent's, put together.
    pub async fn explain(
        &self,
        environment: &str,
        service: &str,
        role: &str,
        index: u32,
        requirement: &str,
    ) -> Result<Explanation, Problem> {
        let key = ServiceKey::new(environment, service);
        let missing = |what: String| Problem::new(Code::NotFound, what);
        let record = self.shared.state.service(&key).await?.filter(|it| it.status != Status::Down);
        let record = record.ok_or_else(|| missing(format!("{key} is not up")).hint("`scs ps` lists what there is"))?;
        let revision = self.shared.state.revision(&key, record.deployed).await?;
        let deployment = revision.and_then(|it| it.deployment).unwrap_or_else(|| empty(&key));
        let wanted = deployment.roles.get(role).ok_or_else(|| missing(format!("{key} has no role {role}")))?;
        let required = wanted.require.get(requirement).ok_or_else(|| {
            let names: Vec<&str> = wanted.require.keys().map(String::as_str).collect();
            missing(format!("role {role} has no requirement {requirement}; it has {}", names.join(", ")))
        })?;
        let slot = key.slot(role, index);
        if index >= wanted.replicas {
            return Err(no_instance(&slot, wanted.replicas));
        }
        let reports = self.shared.reports();
        let report = reports.iter().flat_map(|it| &it.slots).find(|it| it.slot == slot);
        let live_update = report.and_then(|it| it.live_updates.get(requirement)).cloned();
        let stands = report.and_then(|it| it.requirements.get(requirement)).cloned();
        let nobody = || "nobody is subscribed: the role does not run".to_owned();
        let instance = if wanted.replicas > 1 { slot.numbered() } else { slot.label() };
        let name = format!("{key}/{instance}.{requirement}");
        let query = match &required.method {
            RequireMethod::Disco(query) => query,
            RequireMethod::Static(addresses) => {
                return Ok(Explanation {
                    requirement: name,
                    query: "fixed addresses of the manifest".to_owned(),
                    told: addresses.clone(),
                    applied: stands.as_ref().map_or_else(nobody, |it| it.standing.clone()),
                    stands,
                    candidates: Vec::new(),
                    pushed: None,
                    live_update,
                });
            }
        };
        let seen = self.shared.discovery.explain(&slot, requirement, query).await?;
        // Whether it is applied only its host knows: to the registry, whoever has nothing to apply has applied it.
        let applied = stands.as_ref().map_or_else(nobody, |it| it.standing.clone());
        let (told, candidates, pushed) = (seen.told, seen.candidates, seen.pushed);
        let query = in_words(query);
        Ok(Explanation { requirement: name, query, told, stands, candidates, pushed, applied, live_update })
    }

    /// Removes images that no kept revision needs, and whatever else is left over.
    pub async fn prune(&self) -> Result<Partial<Pruned>, Problem> {
        let mut keep = BTreeSet::new();
        for (service, _) in self.shared.state.services().await? {
            for revision in self.shared.state.revisions(&service).await? {
                let roles = revision.deployment.into_iter().flat_map(|it| it.roles.into_values());
                keep.extend(roles.map(|role| role.image_digest));
            }
        }
        let mut warnings = self.shared.silent_hosts(|_| true, "nothing was removed there");
        let ask = |member: Member| {
            let keep = keep.clone();
            async move { member.agent.prune(keep).await }
        };
        let asked = self.shared.ask_all(ask, "was not cleaned up").await?;
        warnings.extend(asked.warnings);
        let mut value = Pruned::default();
        for done in asked.value {
            value.removed.extend(done.removed);
            value.bytes += done.bytes;
        }
        Ok(Partial { value, warnings })
    }

    /// Asks the program to end; containers keep running.
    pub fn shut_down(&self) {
        self.shared.asked_to_end.cancel();
    }
}

fn empty(service: &ServiceKey) -> scs_manifest::compiled::Deployment {
    scs_manifest::compiled::Deployment {
        version: 1,
        environment: service.environment.clone(),
        service: service.service.clone(),
        secrets: indexmap::IndexMap::new(),
        roles: indexmap::IndexMap::new(),
        layouts: indexmap::IndexMap::new(),
    }
}

fn in_words(query: &Query) -> String {
    use scs_manifest::compiled::Condition;
    let mut words = format!("{}/{}/{}/{}", query.environment, query.service, query.role, query.endpoint);
    for (attribute, condition) in &query.r#match {
        let _ = match condition {
            Condition::In(values) => write!(words, " with {attribute} {}", values.join(" or ")),
            Condition::Not(values) => write!(words, " with {attribute} not {}", values.join(" nor ")),
            Condition::Exists(true) => write!(words, " with any {attribute}"),
            Condition::Exists(false) => write!(words, " without {attribute}"),
        };
    }
    if !query.prefer.is_empty() {
        let _ = write!(words, ", preferring the same {}", query.prefer.join(", then the same "));
    }
    words
}
