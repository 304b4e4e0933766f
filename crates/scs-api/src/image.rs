//! Images between hosts: whoever needs one that its own engine has not asks the server what to do.

use serde::{Deserialize, Serialize};

/// `POST /v1/images/DIGEST/claim`: a host needs an image. Asked again while it builds, for a claim lasts 30 s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Hosts that said they had it and did not give it.
    #[serde(default)]
    pub failed: Vec<String>,
}

/// What it is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "turn")]
pub enum Claim {
    /// Fetch it: `GET /v1/images/DIGEST` of one of these agents.
    Fetch {
        /// Who has it.
        from: Vec<Holder>,
    },
    /// Build it; `DELETE /v1/images/DIGEST/claim` once that is done or has failed.
    Build,
    /// Another host builds it: ask again.
    Wait {
        /// Which.
        host: String,
    },
}

/// A host that has an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its name.
    pub host: String,
    /// Where its agent listens, `address:port`.
    pub address: String,
}
