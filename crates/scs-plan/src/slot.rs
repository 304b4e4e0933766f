//! A slot: the place that one instance of a role fills, whichever container happens to fill it now.

use serde::{Deserialize, Serialize};

/// Identity of a slot. Containers come and go in it; its volumes and its place stay.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// Environment.
    pub environment: String,
    /// Service.
    pub service: String,
    /// Role.
    pub role: String,
    /// Index of the replica, from 0.
    pub index: u32,
}

impl std::fmt::Display for Slot {
    /// `environment/service/role`, with `/index` where it is not 0.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.environment, self.service, self.role)?;
        if self.index > 0 {
            write!(f, "/{}", self.index)?;
        }
        Ok(())
    }
}
