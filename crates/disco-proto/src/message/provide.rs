//! Parameters and answers of providing.

use serde::{Deserialize, Serialize};

use crate::{model::Reason, name::Name};

/// Answer to `provide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provided {
    /// The registry's revision that holds it.
    pub rev: u64,
}

/// Parameters of `withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// What it is called.
    pub name: Name,
    /// Which of that name.
    pub instance: String,
    /// `left`, `died` or `draining`.
    pub reason: Reason,
    /// Milliseconds that the answer may wait for every subscriber to have applied it; 0 or none: it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// Milliseconds that it stays usable while a subscriber has no successor for it; none: it goes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor_by: Option<u64>,
}

/// Answer to `withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The registry's revision without it.
    pub rev: u64,
    /// Who had not applied it by the deadline: `REQUIREMENT@AGENT`, in alphabetical order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapplied: Vec<String>,
}
