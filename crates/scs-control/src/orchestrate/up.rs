//! `up` and `rollback`: what is wanted changes, and comes to be.

use super::commit::{Wish, commit};
use super::events::{EventStream, Events};
use super::follow::{Ears, Followed, addresses, follow, last};
use super::moves;
use super::planning::check_origin;
use super::secrets::not_found;
use crate::progress::Tracker;
use crate::service::Handle;
use crate::state::{RevisionRecord, ServiceKey, Status};
use scs_api::deploy::{Event, Revision, RollbackRequest, UpRequest};
use scs_api::error::{Code, Problem};
use std::collections::BTreeMap;

impl Handle {
    /// Makes a deployment what is wanted, and follows it until it has come to be. What is refused is refused before anything is
    /// changed; a stream means that it is committed.
    pub async fn up(&self, environment: &str, service: &str, request: UpRequest) -> Result<EventStream, Problem> {
        let wish = Wish {
            deployment: request.deployment,
            origin: request.origin,
            base_revision: Some(request.base_revision),
            secrets: request.secrets,
            take_over: request.take_over,
            reset_placement: request.reset_placement,
            who: request.who,
            what: "up".to_owned(),
        };
        self.make_so(ServiceKey::new(environment, service), wish, Vec::new()).await
    }

    /// Makes an earlier revision what is wanted again.
    pub async fn rollback(
        &self,
        environment: &str,
        service: &str,
        request: RollbackRequest,
    ) -> Result<EventStream, Problem> {
        let (shared, service) = (&self.shared, ServiceKey::new(environment, service));
        let record = shared.state.service(&service).await?.ok_or_else(|| not_found(&service))?;
        let RollbackRequest { revision, caller } = request;
        check_origin(&service, &record, &caller)?;
        let revisions = shared.state.revisions(&service).await?;
        let now = if record.status == Status::Down { u64::MAX } else { record.deployed };
        let target = target(&service, &revisions, revision, now)?;
        // A note (`restart`) stands for the deployment that was wanted at its time.
        let deployed = revisions.iter().rev().find(|it| it.revision <= target && it.deployment.is_some());
        let Some((revision, deployment)) = deployed.and_then(|it| Some((it, it.deployment.clone()?))) else {
            return Err(no_revision(&service, target));
        };
        let wish = Wish {
            deployment,
            origin: revision.origin.clone(),
            base_revision: Some(record.revision),
            secrets: BTreeMap::new(),
            take_over: true,
            reset_placement: false,
            who: caller.who,
            what: format!("rollback to {}", revision.revision),
        };
        let warning = "data does not roll back: volumes keep what has been written to them since".to_owned();
        self.make_so(service, wish, vec![warning]).await
    }

    /// Revisions that are kept, the newest first.
    pub async fn history(&self, environment: &str, service: &str) -> Result<Vec<Revision>, Problem> {
        let (shared, service) = (&self.shared, ServiceKey::new(environment, service));
        let record = shared.state.service(&service).await?.ok_or_else(|| not_found(&service))?;
        let revisions = shared.state.revisions(&service).await?;
        let line = |it: RevisionRecord| Revision {
            revision: it.revision,
            at: it.at,
            who: it.who,
            what: it.what,
            changed: it.changed,
            current: it.revision == record.deployed && record.status != Status::Down,
        };
        Ok(revisions.into_iter().rev().map(line).collect())
    }

    async fn make_so(
        &self,
        service: ServiceKey,
        wish: Wish,
        mut warnings: Vec<String>,
    ) -> Result<EventStream, Problem> {
        let shared = self.shared.clone();
        let lock = shared.locks.take(&service, &wish.what, &wish.who)?;
        let who = wish.who.clone();
        let mut ears = Ears::new(&shared);
        let before = shared.reports();
        let committed = commit(&shared, &service, wish).await?;
        warnings.extend(committed.warnings);
        let now = tokio::time::Instant::now().into_std();
        let mut tracker = Tracker::new(now, committed.assigned, committed.goals, &before);
        let (events, stream) = Events::channel();
        shared.clone().spawn(async move {
            for message in warnings {
                events.send(Event::Warning { message }).await;
            }
            let mut followed = follow(&shared, &service, &mut tracker, &mut ears, &events, false).await;
            let mut revision = committed.revision;
            for (slot, host) in committed.moves {
                if !matches!(followed, Followed::Reached) {
                    break;
                }
                match moves::along(&shared, &service, &slot, host, &who, &events).await {
                    Ok(Some(after)) => revision = after,
                    Ok(None) => followed = Followed::Unread,
                    Err(problem) => followed = Followed::Failed(problem),
                }
            }
            // Whoever reads the last event may go on with the next change at once.
            drop(lock);
            let found = || addresses(&shared, &service, &committed.deployment);
            if let Some(event) = last(followed, revision, found) {
                events.send(event).await;
            }
        });
        Ok(stream)
    }
}

/// The revision to go back to: the one asked for, or the last one whose deployment differs from what is wanted now.
fn target(service: &ServiceKey, revisions: &[RevisionRecord], asked: Option<u64>, now: u64) -> Result<u64, Problem> {
    if let Some(asked) = asked {
        let kept = revisions.iter().any(|it| it.revision == asked);
        return if kept { Ok(asked) } else { Err(no_revision(service, asked)) };
    }
    let current = revisions.iter().find(|it| it.revision == now).and_then(|it| it.deployment.as_ref());
    let earlier = revisions.iter().rev().filter(|it| it.revision < now && it.deployment.is_some());
    earlier
        .map(|it| (it.revision, &it.deployment))
        .find(|(_, it)| it.as_ref() != current)
        .map(|(number, _)| number)
        .ok_or_else(|| {
            Problem::new(Code::NotFound, format!("{service} has no earlier revision"))
                .hint("`scs history` lists what there is")
        })
}

fn no_revision(service: &ServiceKey, number: u64) -> Problem {
    Problem::new(Code::NotFound, format!("revision {number} of {service} is not kept"))
        .hint("`scs history` lists what there is")
}
