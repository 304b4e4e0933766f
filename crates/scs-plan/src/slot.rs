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
    /// `environment/service/role`, with `.index` where it is not 0.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.environment, self.service, self.label())
    }
}

impl Slot {
    /// Its name within its service as people read and type it: `worker`, `worker.1`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.index == 0 { self.role.clone() } else { self.numbered() }
    }

    /// The same with its index even where that is 0, for a role of several instances: `worker.0`.
    #[must_use]
    pub fn numbered(&self) -> String {
        format!("{}.{}", self.role, self.index)
    }

    /// Whether a name as it is typed is this slot's: `worker` names every instance, `worker.1` one.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        match name.split_once('.') {
            Some((role, index)) => role == self.role && index.parse() == Ok(self.index),
            None => name == self.role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_its_role_and_its_index() {
        let slot = |index| Slot { environment: "dev".into(), service: "s".into(), role: "worker".into(), index };
        assert_eq!([0, 1].map(|index| slot(index).to_string()), ["dev/s/worker", "dev/s/worker.1"]);
        assert_eq!(slot(0).numbered(), "worker.0");
        let named = |name: &str| [0, 1].map(|index| slot(index).is_named(name));
        assert_eq!(named("worker"), [true, true]);
        assert_eq!((named("worker.0"), named("worker.1")), ([true, false], [false, true]));
        assert_eq!((named("web"), named("web.1"), named("worker.x")), ([false; 2], [false; 2], [false; 2]));
    }
}
