//! `scs up`: compile, plan, show, ask where something is interrupted, apply, and follow the logs.

use super::environments::Environments;
use super::{Context, Outcome, change, down, logs, plan as planning, who};
use crate::cli::change::Up;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::load::{self, Loaded};
use crate::output::{plan, say};
use crate::paths;
use scs_api::deploy::{Caller, UpRequest};
use scs_api::log::LogQuery;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long an `up` that was interrupted may go on holding its service: until the step it is at says something.
const LETTING_GO: Duration = Duration::from_secs(60);

/// Runs it.
pub async fn run(context: &Context, args: &Up) -> Outcome {
    let started = Instant::now();
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|now| u64::try_from(now.as_millis()).ok());
    let loaded = load::load(context, &args.manifests)?;
    let secrets = if args.dry_run { Default::default() } else { load::secrets(&loaded).await? };
    let (client, version) = context.server().await?;
    if !args.create_env && !args.dry_run {
        let environments = Environments::ask(&client, &args.manifests.file).await?;
        environments.check(&loaded.deployment.environment)?;
    }
    let planned = planning::ask(&client, &loaded, args.reset_placement).await?;
    for warning in &planned.warnings {
        context.printer.warn(warning);
    }
    let changes = plan::changes(&planned.plan);
    if args.dry_run {
        context.printer.line(plan::render(&planned.plan, &context.printer, true))?;
        return Ok(Exit::DONE);
    }
    if changes {
        context.printer.note(plan::render(&planned.plan, &context.printer, false));
    }
    let asked = args.yes || context.settings.yes || !context.settings.screen.interactive;
    if !asked
        && plan::interrupts(&planned.plan)
        && !context.printer.confirm("Something that runs is interrupted. Go on?")
    {
        return Err(Failure::failed("not confirmed: nothing was changed").hint("answer `y`, or say `--yes`"));
    }
    if version.engine.is_none() {
        return Err(load::no_engine(version.pid));
    }
    load::upload(&client, &loaded).await?;
    let request = UpRequest {
        deployment: loaded.deployment.clone(),
        origin: loaded.origin.clone(),
        base_revision: planned.plan.base_revision,
        secrets,
        take_over: args.take_over,
        reset_placement: args.reset_placement,
        who: who(),
    };
    let name = loaded.name();
    let path = paths::service(&loaded.deployment.environment, &loaded.deployment.service, "up");
    let applied = change::follow(context, &client, &path, &request, &format!("Bringing up {name}")).await;
    let done = match applied {
        Ok(done) => done,
        Err(Failure::Interrupted) if args.detach => {
            say("interrupted: what was begun goes on; `scs ps` shows it, `scs down` ends it");
            return Err(Failure::Interrupted);
        }
        Err(Failure::Interrupted) => return end(context, &client, &loaded).await,
        Err(failure) => return Err(failure),
    };
    let summary = if changes { "is up" } else { "was up already, as its manifests say" };
    context.printer.note(format!("{name} {summary} (revision {}, {})", done.revision, change::took(started)));
    change::show_addresses(context, &done.addresses);
    if args.detach {
        return Ok(Exit::DONE);
    }
    let query = LogQuery {
        environment: loaded.deployment.environment.clone(),
        service: Some(loaded.deployment.service.clone()),
        follow: true,
        since: begun,
        ..LogQuery::default()
    };
    let width = loaded.deployment.roles.keys().map(|role| role.len()).max().unwrap_or(0);
    let view = logs::View { width, ..logs::View::default() };
    tokio::select! {
        shown = logs::show(context, &client, &query, view) => shown.map(|()| Exit::DONE),
        () = change::interrupt() => end(context, &client, &loaded).await,
    }
}

/// Ctrl-C: takes the service down; a second one leaves at once.
async fn end(context: &Context, client: &Client, loaded: &Loaded) -> Outcome {
    say(&format!("\ntaking {} down (Ctrl-C again leaves at once)", loaded.name()));
    let taken = tokio::select! {
        taken = take(context, client, loaded) => taken,
        () = change::interrupt() => return Err(Failure::Interrupted),
    };
    taken.and(Err(Failure::Interrupted))
}

/// Takes the service down; the `up` that was just interrupted may hold it for a moment longer.
async fn take(context: &Context, client: &Client, loaded: &Loaded) -> Result<(), Failure> {
    let (environment, service) = (&loaded.deployment.environment, &loaded.deployment.service);
    let caller = Caller { who: who(), origin: Some(loaded.origin.clone()), take_over: false };
    let deadline = Instant::now() + LETTING_GO;
    loop {
        match down::take(context, client, environment, service, caller.clone()).await {
            Err(failure) if failure.exit() == Exit::LOCKED && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            taken => return taken,
        }
    }
}
