//! Who may come into discovery: what the control plane says, once it has begun to.

use disco_core::Grants;
use disco_server::{Admit, Holder, Revoked};
use scs_control::admission::Admission;
use std::sync::OnceLock;
use tokio::sync::watch;

/// Asks the control plane of this process. Until that is there, certificates speak for themselves, so that nobody who comes back after a
/// restart loses anything.
#[derive(Debug)]
pub struct Gate {
    control: OnceLock<Admission>,
    changes: watch::Sender<u64>,
}

impl Gate {
    /// Before there is a control plane.
    #[must_use]
    pub fn new() -> Self {
        Self { control: OnceLock::new(), changes: watch::Sender::new(0) }
    }

    /// Asks this control plane from now on. Never done.
    pub async fn follow(&self, control: Admission) {
        let mut changes = control.changes();
        let _ = self.control.set(control);
        loop {
            changes.mark_unchanged();
            self.changes.send_modify(|count| *count += 1);
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Admit for Gate {
    fn admit(&self, holder: &Holder) -> Result<Grants, Revoked> {
        match self.control.get() {
            Some(control) => control.grants(&holder.identity, &holder.serial).map_err(|why| Revoked::new(holder, why)),
            None => Ok(holder.identity.grants()),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
