//! Requests about hosts.

use super::Api;
use super::answer::{Answer, events, warned};
use super::extract::{Document, Part};
use super::guard::Fate;
use crate::access::Access;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use scs_api::deploy::Caller;
use scs_api::host::{GiveUpRequest, HostDetails, HostInfo, LabelRequest};

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

/// The audit log gets more than the path says.
pub(super) async fn give_up(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(host): Part,
    Document(request): Document<GiveUpRequest>,
) -> Answer<Response> {
    let fresh = if request.lose_data { "; fresh ones are made" } else { "" };
    let given_up = api.handle.give_up_host(&host, request.lose_data, &access.name(request.caller.who)).await?;
    let lost = if given_up.lost.is_empty() { "none".to_owned() } else { given_up.lost.join(", ") };
    let fate = Fate::of(format!("host {host} was given up for dead; volumes lost: {lost}{fresh}"));
    let mut response = Json(given_up).into_response();
    response.extensions_mut().insert(fate);
    Ok(response)
}
