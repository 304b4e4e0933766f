//! Parameters and answers of requiring.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    message::shared,
    model::{Endpoint, Reason},
    query::Query,
    version::Version,
};

/// Parameters of `require`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Require {
    /// The subscriber's own word for it, unique in its session; requiring it again replaces it.
    pub id: String,
    /// What is asked for.
    #[serde(flatten)]
    pub query: Query,
    /// What the subscriber still has, `ROLE/INSTANCE` → version; the answer is the difference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<String, Version>,
}

/// A difference; the answer to `require`, and the better part of `changed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Grows by one with each difference of this requirement.
    pub seq: u64,
    /// The registry's revision it is true at.
    pub rev: u64,
    /// Whether the registry has heard of everyone since its start. While not, nothing unheard of is dropped.
    pub complete: bool,
    /// New ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub add: Vec<Arc<Endpoint>>,
    /// Changed ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub update: Vec<Arc<Endpoint>>,
    /// Those that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Gone>,
}

/// An endpoint that went from a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// `ROLE/INSTANCE`.
    pub key: String,
    /// Why.
    pub reason: Reason,
}

/// Parameters of `changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which requirement.
    pub id: String,
    /// The difference.
    #[serde(flatten)]
    pub change: Change,
}

/// Parameters of `snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which requirement.
    pub id: String,
    /// Where its `seq` starts anew.
    pub seq: u64,
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// The whole set.
    #[serde(with = "shared")]
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Parameters of `applied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which requirement.
    pub id: String,
    /// Up to here the subscriber works with it.
    pub seq: u64,
}

/// Parameters of `unrequire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrequire {
    /// Which requirement.
    pub id: String,
}

/// Parameters of `reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Which requirement.
    pub id: String,
    /// Why, for people.
    pub why: String,
}
