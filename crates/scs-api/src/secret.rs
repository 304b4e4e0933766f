//! Secrets: values that never show in a debug line, and what is listed of them.

use crate::deploy::Caller;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A secret's value. Prints as `[redacted]`; serialised only on the way to the server and to agents.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that writes it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `GET …/secrets` answers a list of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretInfo {
    /// Name in the deployment.
    pub name: String,
    /// Where it comes from, in words: `generated`, `file db.txt`, `set by hand`.
    pub source: String,
    /// When it got its current value.
    #[serde(with = "crate::time")]
    pub changed: SystemTime,
    /// Roles that use it, with their name for it: `mysql-master:ROOT_PASSWORD`.
    pub used_by: Vec<String>,
}

/// `PUT …/secrets/NAME`: sets a value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetSecret {
    /// The value.
    pub value: SecretValue,
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}

/// `POST …/secrets/NAME/rotate`: generates a new value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RotateSecret {
    /// Who asks, and from where.
    #[serde(flatten)]
    pub caller: Caller,
}
