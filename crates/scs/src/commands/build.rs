//! `scs build`: builds images and starts nothing.

use super::{Context, Outcome, change};
use crate::cli::change::Build;
use crate::exit::{Exit, Failure};
use crate::load;
use crate::paths;
use scs_api::deploy::BuildRequest;
use std::time::Instant;

/// Runs it.
pub async fn run(context: &Context, args: &Build) -> Outcome {
    let started = Instant::now();
    let loaded = load::load(context, &args.manifests)?;
    for role in &args.roles {
        loaded.role(role)?;
    }
    let (client, version) = context.server().await?;
    if version.engine.is_none() {
        return Err(load::no_engine(version.pid));
    }
    load::upload(&client, &loaded).await?;
    let request = BuildRequest {
        deployment: loaded.deployment.clone(),
        origin: loaded.origin.clone(),
        roles: args.roles.clone(),
    };
    let path = paths::service(&loaded.deployment.environment, &loaded.deployment.service, "build");
    match change::follow(context, &client, &path, &request, &format!("Building {}", loaded.name())).await {
        Ok(_) => {
            context.printer.note(format!("built ({})", change::took(started)));
            Ok(Exit::DONE)
        }
        Err(failure) => Err::<Exit, Failure>(failure),
    }
}
