//! `scs disco`: ways in for those who do not run containers here. All speak `disco/1`, to whatever server they are told.

mod forward;
mod look;
mod provide;
mod require;
mod session;
mod signals;
mod watch;

use super::{Context, Outcome};
use crate::cli::disco::{Attribute, EndpointName, Parts, Selection, Verb};
use crate::exit::Failure;
use crate::load;
use crate::settings::check_label;
use disco_client::{EndpointSet, Query};
use std::collections::BTreeMap;

/// Runs it.
pub async fn run(context: &Context, verb: Verb) -> Outcome {
    match verb {
        Verb::Ls(args) => look::list(context, &args).await,
        Verb::Resolve(args) => look::resolve(context, &args).await,
        Verb::Watch(args) => watch::run(context, &args).await,
        Verb::Forward(args) => forward::run(context, &args).await,
        Verb::Provide(args) => provide::run(context, args).await,
        Verb::Require(args) => require::run(context, args).await,
    }
}

/// The question that a name asks, with what it leaves out filled in.
fn query(context: &Context, parts: &Parts, name: &EndpointName, selection: &Selection) -> Result<Query, Failure> {
    let environment = context.environment(name.environment.as_ref().or(parts.env.as_ref()))?;
    let service = match name.service.as_ref().or(parts.service.as_ref()) {
        Some(service) => service.clone(),
        None => load::service_name(&[], &environment)?.ok_or_else(|| {
            let role = name.role.as_deref().unwrap_or("*");
            Failure::usage(format!(
                "which service? `{}` names none, and there is no deployment.yaml in this directory",
                typed(name)
            ))
            .hint(format!("write SERVICE/{role}/{}, or say `--service NAME`", name.endpoint))
        })?,
    };
    check_label("service", &service)?;
    let query = Query {
        environment,
        service,
        role: name.role.clone().unwrap_or_else(|| "*".to_owned()),
        endpoint: name.endpoint.clone(),
        r#match: selection.r#match.iter().map(|asked| (asked.key.clone(), asked.condition.clone())).collect(),
        prefer: selection.prefer.clone(),
        instance: None,
    };
    query.check().map_err(|invalid| Failure::usage("this cannot be asked for").because(&invalid))?;
    Ok(query)
}

fn typed(name: &EndpointName) -> String {
    match &name.role {
        Some(role) => format!("{role}/{}", name.endpoint),
        None => name.endpoint.clone(),
    }
}

fn attributes(given: &[Attribute]) -> BTreeMap<String, String> {
    given.iter().map(|attribute| (attribute.key.clone(), attribute.value.clone())).collect()
}

/// The server refuses to say anything of what is required.
fn refused(set: &EndpointSet) -> Option<Failure> {
    let refusal = set.refused.as_ref()?;
    Some(
        Failure::failed("the discovery server refuses to say who provides it")
            .because(refusal)
            .hint("is it a name that this machine's certificate may ask for?"),
    )
}

/// Says when no server confirms the set any more, and when one does again.
fn say_stale(context: &Context, stale: &mut bool, set: &EndpointSet) {
    if *stale == set.stale_since.is_some() {
        return;
    }
    *stale = !*stale;
    context.printer.note(if *stale {
        "the discovery server does not answer: what it said last stays valid"
    } else {
        "the discovery server answers"
    });
}
