//! Requests that only look.

use super::Api;
use super::answer::{Answer, lines, warned};
use super::extract::{Document, Of, Parameters};
use crate::inspect::InstanceQuery;
use axum::extract::State;
use axum::response::{Json, Response};
use futures_util::stream::StreamExt;
use scs_api::deploy::Revision;
use scs_api::inspect::{EndpointInfo, EndpointQuery, Explanation, Version};
use scs_api::log::LogQuery;
use scs_api::secret::SecretInfo;
use std::collections::BTreeSet;

pub(super) async fn version(State(api): State<Api>) -> Json<Version> {
    Json(api.handle.version().await)
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

pub(super) async fn environments(State(api): State<Api>) -> Answer<Json<BTreeSet<String>>> {
    Ok(Json(api.handle.environments().await?))
}

pub(super) async fn instances(
    State(api): State<Api>,
    Parameters(query): Parameters<InstanceQuery>,
) -> Answer<Response> {
    let warnings = api.handle.silent_hosts(&query).await?;
    Ok(warned(&warnings, Json(api.handle.instances(&query))))
}

pub(super) async fn logs(State(api): State<Api>, Parameters(query): Parameters<LogQuery>) -> Answer<Response> {
    let logs = api.handle.logs(query).await?;
    Ok(warned(&logs.warnings, lines(logs.value.take_until(api.shutdown.cancelled_owned()))))
}

pub(super) async fn volumes(State(api): State<Api>) -> Answer<Response> {
    let volumes = api.handle.volumes().await?;
    Ok(warned(&volumes.warnings, Json(volumes.value)))
}

pub(super) async fn endpoints(
    State(api): State<Api>,
    Parameters(query): Parameters<EndpointQuery>,
) -> Answer<Json<Vec<EndpointInfo>>> {
    Ok(Json(api.handle.shared.discovery.list(query).await?))
}

pub(super) async fn resolve(
    State(api): State<Api>,
    Document(query): Document<EndpointQuery>,
) -> Answer<Json<Vec<EndpointInfo>>> {
    Ok(Json(api.handle.shared.discovery.resolve(query).await?))
}

pub(super) async fn watch(State(api): State<Api>, Parameters(query): Parameters<EndpointQuery>) -> Answer<Response> {
    let stream = api.handle.shared.discovery.watch(query).await?;
    Ok(lines(stream.take_until(api.shutdown.cancelled_owned())))
}
