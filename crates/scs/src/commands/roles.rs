//! `scs restart`, `scs stop`, `scs start`: one role after the other.

use super::{Context, Outcome, change, who};
use crate::cli::change::Roles;
use crate::exit::Exit;
use crate::paths;
use scs_api::deploy::RoleRequest;

/// Runs it.
pub async fn run(context: &Context, args: &Roles, verb: &str) -> Outcome {
    let (environment, service) = context.roles(&args.target, &args.roles)?;
    let (client, _) = context.server().await?;
    for role in &args.roles {
        let path = paths::role(&environment, &service, &role.role, verb);
        let heading = match verb {
            "restart" => format!("Restarting {}", role.role),
            "stop" => format!("Stopping {}", role.role),
            _ => format!("Starting {}", role.role),
        };
        let request = RoleRequest { index: args.index, who: who() };
        let done = change::follow(context, &client, &path, &request, &heading).await?;
        if verb != "stop" {
            let own: Vec<_> = done.addresses.into_iter().filter(|address| address.role == role.role).collect();
            change::show_addresses(context, &own);
        }
    }
    Ok(Exit::DONE)
}
