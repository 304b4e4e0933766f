//! Volumes that go from host to host.

use super::Api;
use crate::wire::{self, HandOver, VolumeQuery};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use futures_util::StreamExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use scs_api::error::{Code, Problem};
use scs_api::transfer::Survey;
use scs_control::agents::{VolumeCopy, VolumeOffer};
use scs_control::api::Peer;
use scs_control::api::answer::{Answer, lines};
use scs_control::api::extract::{Document, Parameters, Part};
use scs_ports::volume::VolumeId;

pub(super) async fn offer(State(api): State<Api>, Document(offer): Document<VolumeOffer>) -> Answer<Json<Survey>> {
    Ok(Json(api.agent.offer_volume(offer).await?))
}

pub(super) async fn copy(State(api): State<Api>, Document(copy): Document<VolumeCopy>) -> Answer<Response> {
    Ok(lines(api.agent.copy_volume(copy).await?.take_until(api.shutdown.cancelled_owned())))
}

pub(super) async fn hand_over(State(api): State<Api>, Document(over): Document<HandOver>) -> Answer<StatusCode> {
    api.agent.hand_over_volume(over.volume, &over.to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Another host fetches what is offered to it: who it is its certificate says, and what is offered is the agent's to know.
pub(super) async fn transfer(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Part(transfer): Part,
    Parameters(query): Parameters<VolumeQuery>,
    mut request: Request,
) -> Answer<Response> {
    let bad = |what: &str| Problem::new(Code::BadRequest, what.to_owned()).hint("nothing was sent");
    let volume: VolumeId =
        serde_json::from_str(&query.volume).map_err(|_| bad("`volume` is not the id of a volume"))?;
    let Peer::Holder { identity, .. } = peer else { return Err(bad("this is asked with a certificate").into()) };
    let wanted = request.headers().get(header::UPGRADE).is_some_and(|it| it == wire::VOLUME_PROTOCOL);
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().filter(|_| wanted);
    let upgrade = upgrade.ok_or_else(|| bad("this path is asked with `Upgrade: scs-volume`"))?;
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let channel = Box::new(TokioIo::new(upgraded));
        let served = tokio::select! {
            served = api.agent.serve_volume(&identity.name, &transfer, &volume, channel) => served,
            () = api.shutdown.cancelled() => return,
        };
        if let Err(error) = served {
            tracing::warn!(host.id = identity.name, %volume, transfer, %error, "a volume could not be sent");
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static(wire::VOLUME_PROTOCOL)),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}
