//! Keeping the certificate: renewed at half its life, and at once where the address has changed.

use super::join::at;
use crate::joining::{self, past_half};
use crate::membership::{self, Membership};
use scs_pki::Live;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the certificate's age is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Renews until the server says that this host's place in the cluster is another, e.g. that its labels are. What fails is said, and tried
/// again: half a life is left for that.
pub async fn keep(membership: Membership, port: u16, live: Arc<Live>, state: PathBuf) -> Membership {
    // Tells the server the address and version of this start; later ones only when they are due.
    let mut due = true;
    let mut pause = Duration::from_secs(1);
    loop {
        if due || past_half(&live.credentials().certificate, SystemTime::now()) {
            let advertise = at(membership.advertise, port);
            let renewed =
                joining::renew(&membership.server, &live, &membership::certificates(&state), Some(advertise)).await;
            match renewed {
                Ok(answer) => {
                    (due, pause) = (false, LOOK);
                    let now = Membership { disco: answer.disco, labels: answer.labels, ..membership.clone() };
                    if now != membership {
                        return now;
                    }
                }
                Err(failure) => {
                    tracing::warn!(%failure, "the certificate is not renewed; trying again");
                    pause = (pause * 2).min(LOOK);
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}
