//! What a move has agents do beside their assignments: copying, handing over, quiescing.

use crate::agents::{CopyEvent, VolumeAt, VolumeCopy, VolumeOffer};
use crate::orchestrate::events::Events;
use crate::orchestrate::volumes::volume_at;
use crate::service::Shared;
use crate::state::volume_id;
use futures_util::StreamExt as _;
use scs_api::agent::HostReport;
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_api::exec::Output;
use scs_api::routes::ExecQuery;
use scs_api::transfer::{Compare, Progress};
use scs_manifest::compiled::Role;
use scs_plan::movement::{Copied, CopyFailure, Pass, Record, Stage};
use scs_plan::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Files that were seen mapped for writing while a volume was copied, by volume; `None` where that is not known of all of them.
pub(super) type Suspects = Arc<Mutex<BTreeMap<String, Option<BTreeSet<String>>>>>;

/// A move's work on its volumes.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Record,
    pub(super) role: Role,
    pub(super) suspects: Suspects,
}

impl Work {
    /// Copies every volume.
    pub(super) async fn copy(&self, pass: Pass, doing: &str, events: &Events) -> Result<Copied, CopyFailure> {
        let started = Instant::now();
        let mut bytes = 0;
        for (name, at) in self.volumes(Stage::Passed).await? {
            let source = self.at(&name, Stage::Copying).await?;
            bytes += self.one(&name, source, at, pass, doing, events).await?;
        }
        Ok(Copied { bytes, took: started.elapsed() })
    }

    async fn one(
        &self,
        name: &str,
        source: VolumeAt,
        target: VolumeAt,
        pass: Pass,
        doing: &str,
        events: &Events,
    ) -> Result<u64, CopyFailure> {
        let survey = self.offer(&source).await?;
        let seen = self.suspect(name, survey.mapped.clone(), pass);
        let compare = match (pass, seen) {
            (Pass::Warm, _) => vec![Compare::Times],
            (Pass::Verify, _) | (Pass::Final, None) => vec![Compare::Content],
            (Pass::Final, Some(files)) if files.is_empty() => vec![Compare::Times],
            (Pass::Final, Some(files)) => vec![Compare::Times, Compare::These(files.into_iter().collect())],
        };
        let mut bytes = 0;
        for compare in compare {
            let members = self.shared.fleet.members();
            let address = members.get(&self.record.from).and_then(|it| it.address.clone()).unwrap_or_default();
            let copy = VolumeCopy {
                transfer: self.record.id.clone(),
                volume: target.clone(),
                from: crate::agents::HostAddress { name: self.record.from.clone(), address },
                source: survey.clone(),
                compare,
                warm: pass != Pass::Final,
                bandwidth: self.record.options.bandwidth,
            };
            bytes += self.follow(copy, doing, events).await?;
        }
        if pass != Pass::Final && source.parent.is_none() {
            // What was mapped only after the first look.
            let after = self.offer(&source).await?;
            self.suspect(name, after.mapped, pass);
        }
        Ok(bytes)
    }

    async fn offer(&self, source: &VolumeAt) -> Result<scs_api::transfer::Survey, CopyFailure> {
        let agent = self.shared.fleet.agent(&self.record.from).map_err(failure)?;
        let (transfer, to) = (self.record.id.clone(), self.record.to.clone());
        agent.offer_volume(VolumeOffer { transfer, volume: source.clone(), to }).await.map_err(failure)
    }

    async fn follow(&self, copy: VolumeCopy, doing: &str, events: &Events) -> Result<u64, CopyFailure> {
        let agent = self.shared.fleet.agent(&self.record.to).map_err(failure)?;
        let mut copying = agent.copy_volume(copy).await.map_err(failure)?;
        while let Some(event) = copying.next().await {
            match event {
                CopyEvent::Progress(progress) => {
                    let (slot, doing) = (self.record.slot.clone(), doing.to_owned());
                    events.send(Event::Progress { slot, doing, how_far: how_far(progress) }).await;
                }
                CopyEvent::Done(copied) => return Ok(copied.bytes),
                CopyEvent::Failed { problem, fatal } => return Err(CopyFailure { fatal, ..failure(problem) }),
            }
        }
        Err(CopyFailure { message: format!("host {} stopped copying", self.record.to), fatal: false })
    }

    /// Notes files that are mapped now; gives all that ever were. A last pass without earlier ones knows nothing of them.
    fn suspect(&self, name: &str, mapped: Option<Vec<String>>, pass: Pass) -> Option<BTreeSet<String>> {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if pass != Pass::Final {
            suspects.entry(name.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
        }
        let known = suspects.get_mut(name)?;
        match (known.as_mut(), mapped) {
            (Some(known), Some(mapped)) => known.extend(mapped),
            _ => *known = None,
        }
        known.clone()
    }

    /// Has the source note that its permits are no longer good.
    pub(super) async fn release(&self) -> Result<(), String> {
        let agent = self.shared.fleet.agent(&self.record.from).map_err(in_words)?;
        for (_, at) in self.volumes(Stage::Copying).await.map_err(|failure| failure.message)? {
            agent.hand_over_volume(at, &self.record.to).await.map_err(in_words)?;
        }
        Ok(())
    }

    /// Runs a quiesce command in the slot's container on the source.
    pub(super) async fn quiesce(&self, command: &[String]) -> Result<(), Problem> {
        let agent = self.shared.fleet.agent(&self.record.from)?;
        let report = agent.report().borrow().clone();
        let Some(instance) = instance(&report, &self.record.slot) else { return Ok(()) };
        let command = serde_json::to_string(command).map_err(|error| Problem::of(Code::Internal, &error))?;
        let mut session = agent.exec(&instance, ExecQuery { command, ..ExecQuery::default() }).await?;
        while let Some(output) = session.output.next().await {
            match output {
                Output::Exit(0) => return Ok(()),
                Output::Exit(code) => {
                    let message = format!("the quiesce command ended with exit code {code}");
                    return Err(Problem::new(Code::Failed, message));
                }
                Output::Failed(problem) => return Err(problem),
                _ => {}
            }
        }
        Ok(())
    }

    /// The volumes that go, the whole ones before their parts, with the permits of a stage.
    async fn volumes(&self, stage: Stage) -> Result<Vec<(String, VolumeAt)>, CopyFailure> {
        let mut all = Vec::new();
        for name in self.record.volumes.keys() {
            all.push((name.clone(), self.at(name, stage).await?));
        }
        all.sort_by_key(|(_, at)| depth(at));
        Ok(all)
    }

    async fn at(&self, name: &str, stage: Stage) -> Result<VolumeAt, CopyFailure> {
        let id = volume_id(&self.record.slot, name, false);
        let mut draft = self.shared.state.draft().await;
        let found = draft.volume(&id).await.map_err(|error| failure(error.into()))?;
        drop(draft);
        let gone = || CopyFailure { message: format!("volume {id} is not in desired state any more"), fatal: true };
        let mut at = volume_at(&found.ok_or_else(gone)?);
        at.epoch = self.record.epoch(name, stage).unwrap_or_default();
        let of =
            self.role.volumes.get(name).filter(|it| it.method == "sub").and_then(|it| it.options.get("of")?.as_str());
        if let Some(of) = of {
            at.parent = Some(Box::new(Box::pin(self.at(of, stage)).await?));
        }
        Ok(at)
    }
}

fn depth(at: &VolumeAt) -> usize {
    at.parent.as_ref().map_or(0, |parent| depth(parent) + 1)
}

/// The container of a slot that runs.
fn instance(report: &HostReport, slot: &Slot) -> Option<String> {
    let container = report.slots.iter().find(|it| it.slot == *slot)?.container.as_ref()?;
    container.exit_code.is_none().then(|| container.instance.clone())
}

fn failure(problem: Problem) -> CopyFailure {
    // What cannot be done at all is not tried again; what does not answer is.
    let fatal = matches!(problem.code, Code::Conflict | Code::NotFound | Code::BadRequest | Code::Forbidden);
    CopyFailure { message: in_words(problem), fatal }
}

fn in_words(problem: Problem) -> String {
    std::iter::once(problem.message).chain(problem.causes).collect::<Vec<_>>().join(": ")
}

fn how_far(progress: Progress) -> String {
    format!("{} % ({}) at {}/s", progress.percent, bytes(progress.bytes), bytes(progress.rate))
}

fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None => format!("{count} B"),
    }
}
