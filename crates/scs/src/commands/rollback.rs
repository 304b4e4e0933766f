//! `scs rollback`: makes an earlier revision the desired one again.

use super::{Context, Outcome, change};
use crate::cli::change::Rollback;
use crate::exit::{Exit, Failure};
use crate::paths;
use scs_api::deploy::{Revision, RollbackRequest};
use std::time::Instant;

/// Runs it.
pub async fn run(context: &Context, args: &Rollback) -> Outcome {
    let started = Instant::now();
    let (environment, service) = context.service(&args.target)?;
    let (client, _) = context.server().await?;
    if context.settings.screen.interactive && !args.yes && !context.settings.yes {
        let revisions: Vec<Revision> = client.get(&paths::service(&environment, &service, "history")).await?;
        let to =
            args.revision.map_or_else(|| "the revision before".to_owned(), |revision| format!("revision {revision}"));
        let current = revisions.iter().find(|revision| revision.current).map_or(0, |revision| revision.revision);
        let question =
            format!("Go back from revision {current} to {to} of {environment}/{service}? Data does not roll back.");
        if !context.printer.confirm(&question) {
            return Err(Failure::failed("not confirmed: nothing was changed").hint("answer `y`, or say `--yes`"));
        }
    }
    let path = paths::service(&environment, &service, "rollback");
    let request = RollbackRequest { revision: args.revision, caller: context.caller(&args.target, args.take_over)? };
    let heading = format!("Rolling back {environment}/{service}");
    let done = change::follow(context, &client, &path, &request, &heading).await?;
    context.printer.note(format!(
        "{environment}/{service} is back (now revision {}, {}); data did not roll back",
        done.revision,
        change::took(started),
    ));
    change::show_addresses(context, &done.addresses);
    Ok(Exit::DONE)
}
