//! One change of a service at a time, and who makes it.

use crate::state::ServiceKey;
use scs_api::error::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which services are being changed, and by whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks(Arc<Mutex<HashMap<ServiceKey, String>>>);

/// The right to change a service, until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    locks: Locks,
    service: ServiceKey,
}

impl Locks {
    /// Takes the lock of a service, or says who has it. `what` is a command, e.g. `up`.
    pub(crate) fn take(&self, service: &ServiceKey, what: &str, who: &str) -> Result<Lock, Problem> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = held.get(service) {
            return Err(Problem::new(Code::Locked, format!("{service} is being changed by {holder}"))
                .hint("nothing was changed; try again when that has ended"));
        }
        let who = if who.is_empty() { "somebody" } else { who };
        held.insert(service.clone(), format!("{who} (`{what}`)"));
        Ok(Lock { locks: self.clone(), service: service.clone() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.service);
    }
}
