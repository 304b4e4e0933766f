//! What an assignment needs that a server would otherwise know: values of secrets, which volumes exist.

use super::Job;
use crate::exit::Failure;
use crate::load::{self, Loaded};
use crate::wiring::installation;
use scs_api::agent::{Assignment, VolumeGrant};
use scs_api::secret::SecretValue;
use scs_manifest::compiled::{Access, SecretSource};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Epoch of the permits of `scs run`: its lock is what keeps a second writer out.
const EPOCH: u64 = 1;
/// Letters of generated secrets; any of them can stand anywhere without quotes.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The assignment of a job.
///
/// # Errors
/// Where a secret cannot be had.
pub async fn assignment(loaded: &Loaded, job: &Job, secrets: &Path) -> Result<Assignment, Failure> {
    let mut values = load::secrets(loaded).await?;
    for (name, source) in &loaded.deployment.secrets {
        if let SecretSource::Generate(length) = source {
            values.insert(name.clone(), generated(&secrets.join(name), *length)?);
        }
    }
    let used: BTreeSet<&String> = job.role.secrets.values().map(|secret| &secret.from).collect();
    values.retain(|name, _| used.contains(name));
    let known = known(&job.state);
    let grant = |name: &String, access: Access| VolumeGrant {
        known: known.contains(name),
        epoch: if access == Access::Single { EPOCH } else { 0 },
    };
    Ok(Assignment {
        slot: job.slot.clone(),
        role: job.role.clone(),
        generation: 0,
        stopped: false,
        moving: false,
        leased: false,
        origin: job.origin.clone(),
        volumes: job.role.volumes.iter().map(|(name, volume)| (name.clone(), grant(name, volume.access))).collect(),
        secrets: values.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// A secret that is generated once and kept for every `scs run` of the service.
fn generated(path: &Path, length: u32) -> Result<SecretValue, Failure> {
    if let Some(parent) = path.parent() {
        crate::dev::prepare(parent).map_err(|error| {
            Failure::failed(format!("cannot use {}", parent.display()))
                .because(&error)
                .hint("see who owns the directory")
        })?;
    }
    let value = installation::once(path, || {
        let mut text = String::new();
        let mut byte = [0];
        while text.len() < length as usize {
            installation::random(&mut byte);
            // 248 is four times the number of letters: beyond it some would come more often than others.
            if byte[0] < 248 {
                text.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
            }
        }
        text
    })?;
    Ok(SecretValue::new(value))
}

fn record(state: &Path) -> PathBuf {
    state.join("volumes.json")
}

/// The volumes that earlier runs made.
fn known(state: &Path) -> BTreeSet<String> {
    std::fs::read(record(state)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Remembers the volumes that are there now: one that is missing later is an error, not a fresh empty one.
///
/// # Errors
/// Where that cannot be written down.
pub fn remember<'a>(state: &Path, volumes: impl Iterator<Item = &'a String>) -> std::io::Result<()> {
    let before = known(state);
    let now: BTreeSet<String> = before.iter().cloned().chain(volumes.cloned()).collect();
    if now == before {
        return Ok(());
    }
    let temporary = record(state).with_extension("new");
    std::fs::write(&temporary, serde_json::to_vec(&now).unwrap_or_default())?;
    installation::persist(&temporary, &record(state))
}
