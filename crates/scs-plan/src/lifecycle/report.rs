//! Where the life of a slot stands, for people and servers.

use super::fact::{Container, Exit, Volume};
use super::instance::LiveRecord;
use disco_proto::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

/// Where the life of a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its image is looked for, fetched or built.
    Image,
    /// It waits for requirements.
    Waiting,
    /// Network and volumes are made ready.
    Provisioning,
    /// Its container is started and not yet healthy.
    Starting,
    /// It runs and its health checks pass.
    Running,
    /// It runs and a health check fails, or has not passed in time.
    Failing,
    /// It ended and is started again after a pause.
    Backoff,
    /// It ended and is not started again, as its restart policy says.
    Ended,
    /// A step failed that nobody but a person can mend; tried again slowly where that may help.
    Failed,
    /// It is being stopped.
    Stopping,
    /// It is stopped, as asked.
    Stopped,
}

/// What there is to say about a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Where it stands.
    pub phase: Phase,
    /// Why.
    pub message: Option<String>,
    /// Causes and last lines of output, where something failed.
    pub details: Vec<String>,
    /// The container that fills it now, or that ended last.
    pub container: Option<Shown>,
    /// Spec digest, image digest and generation that are fully in effect.
    pub applied: Option<(String, String, u64)>,
    /// How often it was started again because it had ended.
    pub restarts: u32,
    /// Whether a container of the slot was ever ready or announced on this host: others may have written through it.
    pub served: bool,
    /// Last live updates by requirement or secret.
    pub live_updates: BTreeMap<String, LiveRecord>,
    /// Requirements by name.
    pub requirements: BTreeMap<String, Connection>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Whether a tombstone is done: nothing of the slot is left running.
    pub gone: bool,
}

/// How a requirement of a slot stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// Addresses that the container sees, or would see.
    pub sees: Vec<String>,
    /// Since when these are kept although nobody is there any more, and why the last one went.
    pub held: Option<(Instant, Option<Reason>)>,
    /// Since when discovery is out of reach and these are the last known.
    pub stale: Option<SystemTime>,
    /// Whether the container works with them.
    pub applied: bool,
    /// What it makes of them, in words.
    pub standing: String,
}

/// The container of a slot, as shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Run id.
    pub instance: String,
    /// The container.
    pub container: Container,
    /// Spec digest it is run by.
    pub spec_digest: String,
    /// Image digest.
    pub image_digest: String,
    /// How it ended, where it has.
    pub exit: Option<Exit>,
    /// Whether that is all that will be known of its end.
    pub explained: bool,
    /// Endpoint name → whether it is announced, and what its health check said where it failed.
    pub provides: BTreeMap<String, (bool, Option<String>)>,
}
