//! `scs down`: stops and removes the containers of a service.

use super::{Context, Outcome, change};
use crate::cli::change::Down;
use crate::client::Client;
use crate::dev::Left;
use crate::exit::{Exit, Failure};
use crate::paths;
use scs_api::deploy::{Caller, DownRequest};
use std::time::Instant;

/// Runs it.
pub async fn run(context: &Context, args: &Down) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    if context.remote()?.is_none() && context.files().left() == Left::Nothing {
        context.printer.note(format!("{environment}/{service} is not up"));
        return Ok(Exit::DONE);
    }
    let (client, version) = context.server().await?;
    if !version.services.contains(&format!("{environment}/{service}")) {
        if context.note_unknown(&client, &args.target.file, &environment).await? {
            return Ok(Exit::DONE);
        }
        context.printer.note(format!("{environment}/{service} is not up"));
        return Ok(Exit::DONE);
    }
    let caller = context.caller(&args.target, args.take_over)?;
    take(context, &client, &environment, &service, caller).await?;
    Ok(Exit::DONE)
}

/// Takes a service down.
///
/// # Errors
/// Where something of it still runs.
pub async fn take(
    context: &Context,
    client: &Client,
    environment: &str,
    service: &str,
    caller: Caller,
) -> Result<(), Failure> {
    let started = Instant::now();
    let path = paths::service(environment, service, "down");
    let heading = format!("Taking down {environment}/{service}");
    change::follow(context, client, &path, &DownRequest { caller }, &heading).await?;
    context.printer.note(format!("{environment}/{service} is down, its volumes stay ({})", change::took(started)));
    Ok(())
}
