//! Paths, and what of the agent each asks.

use super::{Api, admit, report, volumes};
use crate::wire::{self, VolumeQuery};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post, put};
use futures_util::{StreamExt as _, TryStreamExt as _};
use scs_api::agent::{Assignments, LeaseGrant};
use scs_api::deploy::BuildRequest;
use scs_api::error::{Code, Problem};
use scs_api::exec::LARGEST;
use scs_api::log::LogQuery;
use scs_api::routes::{ExecQuery, Pruned};
use scs_control::agents::{VolumeAt, VolumeSeen};
use scs_control::api::answer::{Answer, Refusal, lines};
use scs_control::api::extract::{Document, Parameters, Part};
use std::collections::BTreeSet;

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route(wire::REPORT, get(report::follow))
        .route(wire::ASSIGNMENTS, put(assign))
        .route(wire::LEASE, put(lease))
        .route(wire::ENGINE, get(engine))
        .route(wire::IMAGES, get(images))
        .route(&format!("{}/{{digest}}", wire::IMAGES), get(export_image))
        .route(wire::BUILD, post(build))
        .route(wire::LOGS, get(logs))
        .route(&format!("{}/{{instance}}/exec", wire::INSTANCES), get(exec))
        .route(wire::VOLUME, get(inspect_volume).delete(remove_volume))
        .route(wire::VOLUME_DATA, get(export_volume).put(import_volume))
        .route(wire::VOLUME_OFFER, post(volumes::offer))
        .route(wire::VOLUME_COPY, post(volumes::copy))
        .route(wire::VOLUME_HAND_OVER, post(volumes::hand_over))
        .route(&format!("{}/{{transfer}}", wire::TRANSFERS), get(volumes::transfer))
        .route(wire::PRUNE, post(prune))
        .fallback(async || Refusal(Problem::new(Code::NotFound, "there is nothing at this path")))
        .method_not_allowed_fallback(async || {
            Refusal(Problem::new(Code::BadRequest, "this path is not asked with this method"))
        })
        .layer(from_fn_with_state(api.clone(), admit::check))
        .with_state(api)
}

async fn assign(State(api): State<Api>, Document(assignments): Document<Assignments>) -> Answer<StatusCode> {
    api.agent.assign(assignments).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn lease(State(api): State<Api>, Document(grant): Document<LeaseGrant>) -> Answer<StatusCode> {
    api.agent.lease(grant).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn engine(State(api): State<Api>) -> Answer<Json<String>> {
    Ok(Json(api.agent.engine().await?))
}

async fn images(State(api): State<Api>) -> Answer<Json<BTreeSet<String>>> {
    Ok(Json(api.agent.images().await?))
}

async fn export_image(State(api): State<Api>, Part(digest): Part) -> Answer<Response> {
    let content = api.agent.export_image(&digest).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], Body::from_stream(content)).into_response())
}

async fn build(State(api): State<Api>, Document(request): Document<BuildRequest>) -> Answer<Response> {
    Ok(lines(api.agent.build(request).await?.take_until(api.shutdown.cancelled_owned())))
}

async fn logs(State(api): State<Api>, Parameters(query): Parameters<LogQuery>) -> Answer<Response> {
    Ok(lines(api.agent.logs(query).await?.take_until(api.shutdown.cancelled_owned())))
}

/// Refused before the connection becomes a WebSocket where it can be, so that the answer is a plain problem.
async fn exec(
    State(api): State<Api>,
    Part(instance): Part,
    Parameters(query): Parameters<ExecQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let upgrade = upgrade.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    let session = api.agent.exec(&instance, query).await?;
    Ok(upgrade.max_message_size(LARGEST).on_upgrade(async move |socket| {
        tokio::select! {
            () = scs_control::api::carry(socket, session) => {}
            () = api.shutdown.cancelled() => {}
        }
    }))
}

async fn inspect_volume(
    State(api): State<Api>,
    Parameters(query): Parameters<VolumeQuery>,
) -> Answer<Json<VolumeSeen>> {
    Ok(Json(api.agent.inspect_volume(volume(&query)?).await?))
}

async fn remove_volume(State(api): State<Api>, Parameters(query): Parameters<VolumeQuery>) -> Answer<StatusCode> {
    api.agent.remove_volume(volume(&query)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export_volume(State(api): State<Api>, Parameters(query): Parameters<VolumeQuery>) -> Answer<Response> {
    let content = api.agent.export_volume(volume(&query)?).await?;
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], Body::from_stream(content)).into_response())
}

async fn import_volume(
    State(api): State<Api>,
    Parameters(query): Parameters<VolumeQuery>,
    body: Body,
) -> Answer<StatusCode> {
    let content = body.into_data_stream().map_err(std::io::Error::other).boxed();
    api.agent.import_volume(volume(&query)?, content).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prune(State(api): State<Api>, Document(keep): Document<BTreeSet<String>>) -> Answer<Json<Pruned>> {
    Ok(Json(api.agent.prune(keep).await?))
}

fn volume(query: &VolumeQuery) -> Result<VolumeAt, Refusal> {
    serde_json::from_str(&query.volume).map_err(|_| {
        Refusal(
            Problem::new(Code::BadRequest, "`volume` is not what says where a volume is").hint("nothing was changed"),
        )
    })
}
