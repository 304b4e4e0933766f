//! The lines that containers write: log files are followed while they run, and everything is kept when they go.

use super::Hands;
use crate::logs::{self, Archive, Follow};
use crate::slots::Held;
use scs_plan::slot::Slot;
use std::time::Duration;

/// How long the last lines of a container's log files may take to be read before it is removed: longer than that takes.
const HANDOVER: Duration = Duration::from_secs(40);

impl Hands {
    /// Its lines are kept before it goes.
    pub(super) fn remove(&self, slot: &Slot, held: &mut Held, instance: &str, container: String) {
        let known = held.containers.remove(instance);
        held.prepared.remove(instance);
        let following = held.logs.remove(instance);
        // Made at once, so that whoever reads lines finds the container either here or there.
        let started = known.as_ref().and_then(|known| known.started);
        let archive = Archive::new(&self.options.state);
        let kept = started.and_then(|started| logs::place(&archive, slot, instance, &container, started));
        let ended = known.is_some_and(|known| known.ended);
        let (engine, files, slot) = (self.ports.engine.clone(), self.files(instance), slot.clone());
        let sources = self.sources.clone();
        tokio::spawn(async move {
            if let Some(following) = following.filter(|_| ended) {
                let _ = tokio::time::timeout(HANDOVER, logs::closed(following.grown.clone())).await;
            }
            if let Some(kept) = kept {
                if let Err(error) = logs::save(&*engine, &kept).await {
                    tracing::warn!(%slot, %container, %error, "the lines of a removed container are lost");
                }
                let current = sources.borrow().iter().map(|source| source.instance.clone()).collect();
                archive.prune(&current);
            }
            match engine.remove(&container).await {
                Ok(()) => files.remove(),
                // The next look at the engine finds it again.
                Err(error) => tracing::warn!(%slot, %container, %error, "an ended container stays for now"),
            }
        });
    }

    /// Follows the log files that the images of a slot's containers declare.
    pub(crate) fn follow_logs(&self, slot: &Slot, held: &mut Held) {
        if self.options.helper.is_none() {
            return;
        }
        for (instance, known) in &held.containers {
            let desired = held.life.desired().filter(|_| !known.ended);
            let role = desired.map_or(&known.desired.role, |desired| &desired.role);
            let followed = held.logs.get(instance);
            let right = followed.map_or(role.logs.is_empty(), |followed| known.ended || followed.files == role.logs);
            let Some(started) = known.started.filter(|_| !right) else { continue };
            let ended = |other: &String| held.containers.get(other).is_some_and(|known| known.ended);
            let before = held.logs.iter().filter(|(other, _)| *other == instance || ended(other));
            let follow = Follow {
                engine: self.ports.engine.clone(),
                archive: Archive::new(&self.options.state),
                slot: slot.clone(),
                instance: instance.clone(),
                container: known.id.clone(),
                started,
                after: before.map(|(_, following)| following.grown.clone()).collect(),
            };
            // What followed other files of it has to end for this one to begin.
            held.logs.remove(instance);
            let following = follow.begin(role);
            held.logs.insert(instance.clone(), following);
        }
    }
}
