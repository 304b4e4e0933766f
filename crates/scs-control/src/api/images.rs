//! Requests of hosts that need an image: who builds it, and who has it.

use super::Api;
use super::answer::Answer;
use super::extract::{Document, Part};
use crate::access::{Access, Who};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use scs_api::error::{Code, Problem};
use scs_api::image::{Claim, ClaimRequest};

pub(super) async fn claim(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(digest): Part,
    Document(request): Document<ClaimRequest>,
) -> Answer<Json<Claim>> {
    Ok(Json(api.handle.claim_image(host(&access)?, &digest, &request).await?))
}

pub(super) async fn release(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(digest): Part,
) -> Answer<StatusCode> {
    api.handle.release_image(host(&access)?, &digest);
    Ok(StatusCode::NO_CONTENT)
}

fn host(access: &Access) -> Result<&str, Problem> {
    match &access.who {
        Who::Host(name) => Ok(name),
        other => Err(Problem::new(Code::Forbidden, format!("{other} is no host, and builds no images for the others"))),
    }
}
