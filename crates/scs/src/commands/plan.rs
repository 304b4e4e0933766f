//! `scs plan`: what `scs up` would do.

use super::environments::Environments;
use super::{Context, Outcome};
use crate::cli::change::Plan;
use crate::cli::target::Format;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::load::{self, Loaded};
use crate::output::plan;
use crate::paths;
use scs_api::deploy::{PlanRequest, PlanResponse};

/// Runs it.
pub async fn run(context: &Context, args: &Plan) -> Outcome {
    let loaded = load::load(context, &args.manifests)?;
    let (client, _) = context.server().await?;
    let planned = ask(&client, &loaded, args.reset_placement).await?;
    match args.output.output {
        Format::Json => context.printer.json(&planned.plan)?,
        Format::Table => context.printer.line(plan::render(&planned.plan, &context.printer, true))?,
    }
    for warning in &planned.warnings {
        context.printer.warn(warning);
    }
    if let Some(what) = Environments::ask(&client, &args.manifests.file).await?.unknown(&loaded.deployment.environment)
    {
        context.printer.warn(what);
    }
    let changed = args.detailed_exitcode && plan::changes(&planned.plan);
    Ok(if changed { Exit::CHANGES } else { Exit::DONE })
}

/// Asks the server for the plan.
pub async fn ask(client: &Client, loaded: &Loaded, reset_placement: bool) -> Result<PlanResponse, Failure> {
    let deployment = &loaded.deployment;
    let path = paths::service(&deployment.environment, &deployment.service, "plan");
    let (deployment, origin) = (deployment.clone(), loaded.origin.clone());
    Ok(client.post(&path, &PlanRequest { deployment, origin, reset_placement }).await?)
}
