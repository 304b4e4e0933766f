//! `scs move`: an instance to another host, or back from where it was going.

use super::{Context, Outcome, change};
use crate::cli::change::Move;
use crate::exit::Exit;
use crate::paths;
use hyper::Method;
use scs_api::deploy::{AbortRequest, MoveRequest};

/// Runs it.
pub async fn run(context: &Context, args: &Move) -> Outcome {
    let role = &args.role;
    let (environment, service) = context.role(&args.target, role)?;
    let target = crate::cli::target::Target {
        service: role.service.clone().or_else(|| args.target.service.clone()),
        ..args.target.clone()
    };
    let caller = context.caller(&target, args.take_over)?;
    let path = paths::role(&environment, &service, &role.role, "move");
    let Some(host) = args.host.clone() else {
        let client = context.running_server().await?;
        let request = AbortRequest { index: role.index, assume_host_dead: args.assume_host_dead, caller };
        client.tell(Method::POST, &format!("{path}/abort"), Some(&request)).await?;
        context
            .printer
            .note(format!("the move of {} is being called off; `scs ps` shows where it runs", role.instance()));
        return Ok(Exit::DONE);
    };
    let (client, _) = context.server().await?;
    let heading = format!("Moving {} to {host}", role.instance());
    let max_downtime_ms = args.max_downtime.map(|most| u64::try_from(most.as_millis()).unwrap_or(u64::MAX));
    let (bandwidth, force) = (args.bandwidth, args.force);
    let request = MoveRequest { index: role.index, host, max_downtime_ms, bandwidth, force, caller };
    let done = change::follow(context, &client, &path, &request, &heading).await?;
    let own: Vec<_> = done.addresses.into_iter().filter(|address| address.role == role.role).collect();
    change::show_addresses(context, &own);
    Ok(Exit::DONE)
}
