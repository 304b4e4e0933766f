//! `scs down`: stops and removes the containers of a service.

use super::{Context, Outcome, change, who};
use crate::cli::change::Down;
use crate::client::Client;
use crate::dev::Left;
use crate::exit::{Exit, Failure};
use crate::paths;
use scs_api::deploy::DownRequest;
use std::time::Instant;

/// Runs it.
pub async fn run(context: &Context, args: &Down) -> Outcome {
    let (environment, service) = context.service(&args.target)?;
    let files = context.files();
    if files.left() == Left::Nothing {
        context.printer.note(format!("{environment}/{service} is not up"));
        return Ok(Exit::DONE);
    }
    let (client, version) = context.server().await?;
    if !version.services.contains(&format!("{environment}/{service}")) {
        context.printer.note(format!("{environment}/{service} is not up"));
        return Ok(Exit::DONE);
    }
    take(context, &client, &environment, &service).await?;
    Ok(Exit::DONE)
}

/// Takes a service down.
///
/// # Errors
/// Where something of it still runs.
pub async fn take(context: &Context, client: &Client, environment: &str, service: &str) -> Result<(), Failure> {
    let started = Instant::now();
    let path = paths::service(environment, service, "down");
    let heading = format!("Taking down {environment}/{service}");
    change::follow(context, client, &path, &DownRequest { who: who() }, &heading).await?;
    context.printer.note(format!("{environment}/{service} is down, its volumes stay ({})", change::took(started)));
    Ok(())
}
