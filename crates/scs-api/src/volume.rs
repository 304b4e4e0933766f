//! Volumes as people see them.

use serde::{Deserialize, Serialize};

/// `GET /v1/volumes` answers a list of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// `environment/service/role[/index]/name`.
    pub id: String,
    /// Method that made it.
    pub method: String,
    /// Host it is on.
    pub host: String,
    /// Where on the host, in words.
    pub place: Option<String>,
    /// Epoch of its permit.
    pub epoch: u64,
    /// Whether a container uses it now.
    pub in_use: bool,
    /// Bytes it holds, where that could be counted.
    pub bytes: Option<u64>,
}
