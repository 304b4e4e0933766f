//! Looking: instances, endpoints, explanations.

use crate::agent::SlotReport;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// `GET /v1/version` answers this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// Version of the program that answers.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Address of its discovery server.
    pub disco: String,
    /// What the container engine calls itself; `None` while it does not answer.
    pub engine: Option<String>,
    /// Services that are desired, `environment/service`.
    pub services: Vec<String>,
}

/// `GET /v1/instances` answers a list of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// Host it is on.
    pub host: String,
    /// What the host sees.
    pub report: SlotReport,
}

/// `GET /v1/explain/…` answers this: why a requirement has the endpoints it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// `environment/service/role.requirement`.
    pub requirement: String,
    /// What is asked for, in words.
    pub query: String,
    /// What the container has been told, in preference order.
    pub told: Vec<String>,
    /// Every endpoint that was considered.
    pub candidates: Vec<Candidate>,
    /// When the last change was pushed.
    pub pushed: Option<SystemTime>,
    /// Whether the container has applied it, in words.
    pub applied: String,
    /// The last live update, where there was one.
    pub live_update: Option<crate::agent::LiveUpdateReport>,
}

/// One endpoint that was considered for a requirement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    /// Name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Whether it was chosen.
    pub chosen: bool,
    /// Why, or why not.
    pub reason: String,
}
