//! Parameters and answers of asking once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{message::shared, model::Endpoint, query::Query};

/// Answer to `resolve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// What a requirement would get now.
    #[serde(with = "shared")]
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Parameters of `list`; what is not given is not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Only of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only of this role; a requirement for any role (`*`) is listed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Answer to `list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// More matched than one line holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Who provides.
    pub provisions: Vec<ListedProvision>,
    /// Who requires.
    pub requirements: Vec<ListedRequirement>,
}

/// One provision in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedProvision {
    /// As subscribers get it.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Its provider's incarnation.
    pub incarnation: u64,
    /// Who provides it, in its own words.
    pub agent: String,
    /// Whether its provider is connected now.
    pub connected: bool,
    /// Whether it is being withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// One requirement in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRequirement {
    /// The subscriber's own word for it.
    pub id: String,
    /// What is asked for.
    #[serde(flatten)]
    pub query: Query,
    /// Who requires it, in its own words.
    pub agent: String,
    /// Whether the subscriber is connected now.
    pub connected: bool,
    /// The last `seq` sent.
    pub seq: u64,
    /// The last `seq` applied.
    pub applied: u64,
    /// `ROLE/INSTANCE` of what it was last told.
    pub endpoints: Vec<String>,
}
