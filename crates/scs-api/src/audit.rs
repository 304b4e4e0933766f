//! Who asked for what.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// One request that changed something, or tried to. `GET /v1/audit?last=` answers a list of these, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it ended.
    #[serde(with = "crate::time")]
    pub at: SystemTime,
    /// Who: `person alice`, `host h2`, `owner` (whoever may open the server's socket), `nobody`. As the connection proved it.
    pub who: String,
    /// What: method and path.
    pub what: String,
    /// Status that it was answered with.
    pub status: u16,
    /// `done`, `refused: WHY`, `failed: WHY`; `left` where whoever asked went away before the end.
    pub outcome: String,
}
