//! Requests about hosts.

use super::Api;
use super::answer::{Answer, events, warned};
use super::extract::{Document, Part};
use crate::access::Access;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Json, Response};
use scs_api::deploy::Caller;
use scs_api::host::{HostDetails, HostInfo, LabelRequest};

pub(super) async fn list(State(api): State<Api>) -> Answer<Response> {
    let hosts: Vec<HostInfo> = api.handle.hosts().await?;
    let alone: Vec<String> = api.handle.alone().iter().map(ToString::to_string).collect();
    Ok(warned(&alone, Json(hosts)))
}

pub(super) async fn inspect(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(host): Part,
) -> Answer<Json<HostDetails>> {
    let mut details = api.handle.host(&host).await?;
    details.problems.extend(api.handle.waits(|it| it.host == host && access.sees(&it.slot.environment)));
    details.slots.retain(|it| access.sees(&it.slot.environment));
    details.volume_ids.retain(|it| access.sees(it.split('/').next().unwrap_or(it)));
    Ok(Json(details))
}

pub(super) async fn label(
    State(api): State<Api>,
    Part(host): Part,
    Document(request): Document<LabelRequest>,
) -> Answer<Json<HostDetails>> {
    Ok(Json(api.handle.label_host(&host, request).await?))
}

pub(super) async fn drain(State(api): State<Api>, Part(host): Part) -> Answer<Json<HostDetails>> {
    Ok(Json(api.handle.mark_drained(&host, true).await?))
}

/// Drained, and everything that can be moved away is.
pub(super) async fn leave(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(host): Part,
    Document(caller): Document<Caller>,
) -> Answer<Response> {
    Ok(events(api.handle.drain_host(&host, &access.name(caller.who)).await?))
}

pub(super) async fn undrain(State(api): State<Api>, Part(host): Part) -> Answer<Json<HostDetails>> {
    Ok(Json(api.handle.mark_drained(&host, false).await?))
}

pub(super) async fn remove(State(api): State<Api>, Part(host): Part) -> Answer<StatusCode> {
    api.handle.remove_host(&host).await?;
    Ok(StatusCode::NO_CONTENT)
}
