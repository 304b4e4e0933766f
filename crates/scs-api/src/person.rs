//! People: who may do what, and where.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// What a person may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at what is there.
    Read,
    /// Change what runs, in their environments.
    Deploy,
    /// Everything, everywhere.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Deploy, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| "roles are read, deploy and admin".to_owned())
    }
}

/// `GET /v1/people` answers a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonInfo {
    /// Name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// In which environments; `*` is any.
    pub environments: Vec<String>,
    /// When they got their first certificate.
    #[serde(with = "crate::time")]
    pub joined: SystemTime,
    /// When the newest of their certificates ends.
    #[serde(default, with = "crate::time::maybe")]
    pub certificate_ends: Option<SystemTime>,
}

/// `PUT /v1/people/NAME`: what they may do from now on. Answered by [`PersonInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRequest {
    /// What they may do.
    pub role: Role,
    /// In which environments; `*` is any.
    pub environments: Vec<String>,
}
