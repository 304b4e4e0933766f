//! `scs restart`, `scs stop`, `scs start`: one role after the other.

use super::{Context, Outcome, change};
use crate::cli::change::Roles;
use crate::cli::target::Target;
use crate::exit::Exit;
use crate::paths;
use scs_api::deploy::RoleRequest;

/// Runs it.
pub async fn run(context: &Context, args: &Roles, verb: &str) -> Outcome {
    let (environment, service) = context.roles(&args.target, &args.roles)?;
    let (client, _) = context.server().await?;
    for role in &args.roles {
        let target =
            Target { service: role.service.clone().or_else(|| args.target.service.clone()), ..args.target.clone() };
        let path = paths::role(&environment, &service, &role.role, verb);
        let heading = match verb {
            "restart" => format!("Restarting {}", role.instance()),
            "stop" => format!("Stopping {}", role.instance()),
            _ => format!("Starting {}", role.instance()),
        };
        let request = RoleRequest { index: role.index, caller: context.caller(&target, args.take_over)? };
        let done = change::follow(context, &client, &path, &request, &heading).await?;
        if verb != "stop" {
            let own: Vec<_> = done.addresses.into_iter().filter(|address| address.role == role.role).collect();
            change::show_addresses(context, &own);
        }
    }
    Ok(Exit::DONE)
}
