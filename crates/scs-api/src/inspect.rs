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
    /// What discovery says now, in preference order.
    pub told: Vec<String>,
    /// How the slot's host stands to that: what the container sees, and what it makes of it. `None` while no host says.
    #[serde(default)]
    pub stands: Option<crate::agent::RequirementReport>,
    /// Every endpoint that was considered.
    pub candidates: Vec<Candidate>,
    /// When the last change was pushed.
    #[serde(default, with = "crate::time::maybe")]
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

/// What the registry says of one requirement; the server makes an [`Explanation`] of it and of the agent's report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Considered {
    /// What the subscriber has been told, in preference order.
    pub told: Vec<String>,
    /// Every endpoint that was considered.
    pub candidates: Vec<Candidate>,
    /// When the last change was pushed.
    #[serde(default, with = "crate::time::maybe")]
    pub pushed: Option<SystemTime>,
    /// Whether the subscriber has said that it applied it; `None` where it is not subscribed.
    pub applied: Option<bool>,
}

/// Which endpoints are asked for (`GET /v1/disco`, `GET /v1/disco/watch` as query parameters, `POST /v1/disco/resolve` as JSON).
/// What is left out matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointQuery {
    /// Environment part of the name.
    pub environment: Option<String>,
    /// Service part of the name.
    pub service: Option<String>,
    /// Role part of the name.
    pub role: Option<String>,
    /// Endpoint part of the name.
    pub endpoint: Option<String>,
}

/// One endpoint of the registry; `GET /v1/disco` and `POST /v1/disco/resolve` answer a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointInfo {
    /// `environment/service/role/endpoint`.
    pub name: String,
    /// Which of that name: the run id of its container.
    pub instance: String,
    /// `host:port`.
    pub address: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Attributes.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// `passing`, `failing` or `draining`.
    pub health: String,
    /// Kept although its provider fell silent, because too many did so at once.
    #[serde(default)]
    pub suspect: bool,
}

/// One line of `GET /v1/disco/watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointChange {
    /// `present` (what was there at the start), `added`, `updated` or `dropped`.
    pub change: String,
    /// The endpoint, as it is or was.
    pub endpoint: EndpointInfo,
    /// Why it was dropped, or is going and was `updated` for that: `left`, `died`, `lost`, `expired`, `draining`. Not there if the watcher
    /// had fallen behind and the change was found by comparing.
    #[serde(default)]
    pub reason: Option<String>,
    /// When, by the server's clock.
    #[serde(with = "crate::time")]
    pub at: SystemTime,
}
