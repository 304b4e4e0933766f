//! Changes of what runs: each commits desired state first, and then follows what hosts report until it is so, or is given up.
//!
//! A client that goes away undoes nothing. What was committed is what is wanted, and agents go on making it so.

mod build;
mod commit;
mod down;
mod events;
mod follow;
mod losses;
mod moves;
mod planning;
mod roles;
mod secrets;
mod up;
mod volumes;

pub use events::EventStream;
pub use roles::RoleAction;

pub(crate) use commit::note;
pub(crate) use losses::{Outlook, keep_places};
pub(crate) use moves::Moves;
pub(crate) use planning::Known;
pub(crate) use roles::no_instance;
pub(crate) use volumes::{next, volume_at};

use crate::service::Handle;
use crate::state::ServiceKey;
use scs_api::error::{Code, Problem};
use scs_manifest::compiled::Deployment;

/// More instances of one role than this are taken for a slip of the pen.
const MAX_REPLICAS: u32 = 1000;

/// Goes on with everything that was under way when the server ended.
pub(crate) async fn resume(handle: &Handle) {
    moves::resume(handle).await;
    down::resume(handle).await;
}

/// Refuses a deployment that is not what it says it is. Its meaning has been checked by the compiler.
fn check_deployment(service: &ServiceKey, deployment: &Deployment) -> Result<(), Problem> {
    let bad = |message: String| Err(Problem::new(Code::BadRequest, message));
    if deployment.version != 1 {
        return bad(format!("the deployment has format {}; this version knows 1", deployment.version));
    }
    if deployment.environment != service.environment || deployment.service != service.service {
        let (environment, name) = (&deployment.environment, &deployment.service);
        return bad(format!("the deployment is of {environment}/{name}, the request of {service}"));
    }
    for (name, role) in &deployment.roles {
        if *name != role.name || !disco_proto::label(name) {
            return bad(format!("role {name:?} is not named as it should be"));
        }
        if role.replicas > MAX_REPLICAS {
            return bad(format!("role {name} wants {} replicas; {MAX_REPLICAS} is the most", role.replicas));
        }
        // All of these become names of files.
        let names = [
            ("volume", role.volumes.keys().find(|it| !is_plain(it))),
            ("secret", role.secrets.keys().find(|it| !is_plain(it))),
            ("requirement", role.require.keys().find(|it| !is_plain(it))),
        ];
        if let Some((kind, Some(found))) = names.iter().find(|(_, found)| found.is_some()) {
            return bad(format!("{kind} {found:?} of role {name} is not named as it should be"));
        }
        if let Some(used) = role.secrets.values().find(|it| !deployment.secrets.contains_key(&it.from)) {
            return bad(format!("role {name} uses secret {:?}, which the deployment does not have", used.from));
        }
    }
    if let Some(secret) = deployment.secrets.keys().find(|it| !is_plain(it)) {
        return bad(format!("secret {secret:?} is not named as it should be"));
    }
    Ok(())
}

/// Whether a name can be part of a key.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains('/') && !name.chars().any(char::is_control)
}
