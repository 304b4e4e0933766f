//! Requests that only look.

use super::Api;
use super::answer::{Answer, lines, warned};
use super::extract::{Document, Of, Parameters};
use crate::access::Access;
use crate::inspect::InstanceQuery;
use axum::Extension;
use axum::extract::State;
use axum::response::{Json, Response};
use futures_util::stream::StreamExt;
use scs_api::deploy::Revision;
use scs_api::inspect::{EndpointInfo, EndpointQuery, Explanation, Version};
use scs_api::log::LogQuery;
use scs_api::person::Role;
use scs_api::secret::SecretInfo;
use std::collections::BTreeSet;

pub(super) async fn version(State(api): State<Api>, Extension(access): Extension<Access>) -> Json<Version> {
    let mut version = api.handle.version().await;
    version.services.retain(|it| access.sees(environment_of(it)));
    Json(version)
}

/// Names of things begin with their environment.
fn environment_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

pub(super) async fn history(
    State(api): State<Api>,
    Of([environment, service]): Of<[String; 2]>,
) -> Answer<Json<Vec<Revision>>> {
    Ok(Json(api.handle.history(&environment, &service).await?))
}

pub(super) async fn secrets(
    State(api): State<Api>,
    Of([environment, service]): Of<[String; 2]>,
) -> Answer<Json<Vec<SecretInfo>>> {
    Ok(Json(api.handle.secrets(&environment, &service).await?))
}

pub(super) async fn explain(
    State(api): State<Api>,
    Of([environment, service, role, requirement]): Of<[String; 4]>,
    Parameters(which): Parameters<Which>,
) -> Answer<Json<Explanation>> {
    Ok(Json(api.handle.explain(&environment, &service, &role, which.index, &requirement).await?))
}

/// Which instance of a role; the first without.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    index: u32,
}

pub(super) async fn environments(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
) -> Answer<Json<BTreeSet<String>>> {
    let mut environments = api.handle.environments().await?;
    environments.retain(|it| access.sees(it));
    Ok(Json(environments))
}

pub(super) async fn instances(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Parameters(query): Parameters<InstanceQuery>,
) -> Answer<Response> {
    if let Some(environment) = &query.environment {
        access.may(Role::Read, Some(environment))?;
    }
    let mut warnings = api.handle.silent_hosts(&query).await?;
    warnings.extend(api.handle.waits(|it| query.matches(&it.slot) && access.sees(&it.slot.environment)));
    let mut instances = api.handle.instances(&query);
    instances.retain(|it| access.sees(&it.report.slot.environment));
    Ok(warned(&warnings, Json(instances)))
}

pub(super) async fn logs(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Parameters(query): Parameters<LogQuery>,
) -> Answer<Response> {
    access.may(Role::Read, Some(&query.environment))?;
    let logs = api.handle.logs(query).await?;
    Ok(warned(&logs.warnings, lines(logs.value.take_until(api.shutdown.cancelled_owned()))))
}

pub(super) async fn volumes(State(api): State<Api>, Extension(access): Extension<Access>) -> Answer<Response> {
    let mut volumes = api.handle.volumes().await?;
    volumes.value.retain(|it| access.sees(environment_of(&it.id)));
    Ok(warned(&volumes.warnings, Json(volumes.value)))
}

pub(super) async fn endpoints(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Parameters(query): Parameters<EndpointQuery>,
) -> Answer<Json<Vec<EndpointInfo>>> {
    Ok(Json(seen(&access, api.handle.shared.discovery.list(query).await?)))
}

pub(super) async fn resolve(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Document(query): Document<EndpointQuery>,
) -> Answer<Json<Vec<EndpointInfo>>> {
    Ok(Json(seen(&access, api.handle.shared.discovery.resolve(query).await?)))
}

fn seen(access: &Access, mut endpoints: Vec<EndpointInfo>) -> Vec<EndpointInfo> {
    endpoints.retain(|it| access.sees(environment_of(&it.name)));
    endpoints
}

pub(super) async fn watch(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Parameters(query): Parameters<EndpointQuery>,
) -> Answer<Response> {
    let stream = api.handle.shared.discovery.watch(query).await?;
    let stream = stream.filter(move |it| std::future::ready(access.sees(environment_of(&it.endpoint.name))));
    Ok(lines(stream.take_until(api.shutdown.cancelled_owned())))
}
