//! Requests about who belongs to the cluster: tokens, joining, renewal, people, and what all of them did.

use super::answer::Answer;
use super::extract::{Document, Parameters, Part};
use super::guard::Fate;
use super::{Api, Peer};
use crate::access::Access;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use scs_api::audit::Entry;
use scs_api::error::{Code, Problem};
use scs_api::join::{JoinRequest, JoinResponse, RenewRequest, Token, TokenRequest};
use scs_api::person::{PersonInfo, PersonRequest};

pub(super) async fn token(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Document(request): Document<TokenRequest>,
) -> Answer<Json<Token>> {
    Ok(Json(api.handle.make_token(request, &access.who.to_string()).await?))
}

pub(super) async fn join(State(api): State<Api>, Document(request): Document<JoinRequest>) -> Answer<Response> {
    let joined = api.handle.join(request).await?;
    let fate = Fate::of(format!("joined as {}", joined.identity));
    let mut response = Json(joined).into_response();
    response.extensions_mut().insert(fate);
    Ok(response)
}

pub(super) async fn renew(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    Document(request): Document<RenewRequest>,
) -> Answer<Json<JoinResponse>> {
    let Peer::Holder { identity, .. } = peer else {
        return Err(Problem::new(Code::Forbidden, "only the holder of a certificate can renew it").into());
    };
    Ok(Json(api.handle.renew(&identity, request).await?))
}

pub(super) async fn people(State(api): State<Api>) -> Answer<Json<Vec<PersonInfo>>> {
    Ok(Json(api.handle.people().await?))
}

pub(super) async fn set_person(
    State(api): State<Api>,
    Part(name): Part,
    Document(request): Document<PersonRequest>,
) -> Answer<Json<PersonInfo>> {
    Ok(Json(api.handle.set_person(&name, request).await?))
}

pub(super) async fn remove_person(State(api): State<Api>, Part(name): Part) -> Answer<StatusCode> {
    api.handle.remove_person(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many entries; a hundred without.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Last {
    last: Option<usize>,
}

pub(super) async fn audit(State(api): State<Api>, Parameters(wanted): Parameters<Last>) -> Answer<Json<Vec<Entry>>> {
    let count = wanted.last.unwrap_or(100);
    let shared = api.handle.shared.clone();
    let read = tokio::task::spawn_blocking(move || shared.audit.last(count)).await;
    let read = read.map_err(|error| Problem::of(Code::Internal, &error))?;
    Ok(Json(read.map_err(|error| Problem::new(Code::Internal, format!("the audit log cannot be read: {error}")))?))
}
