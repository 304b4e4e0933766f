//! Requests that carry tar streams: bundles of sources, and volumes. Neither is ever held in memory whole.

use super::Api;
use super::answer::{Answer, Refusal};
use super::extract::Part;
use crate::agents::ByteStream;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{StreamExt, TryStreamExt};
use scs_api::error::{Code, Problem};

pub(super) async fn has_bundle(State(api): State<Api>, Part(digest): Part) -> Answer<StatusCode> {
    check(&digest)?;
    let there = api.handle.shared.bundles.has(&digest).await?;
    Ok(if there { StatusCode::OK } else { StatusCode::NOT_FOUND })
}

pub(super) async fn get_bundle(State(api): State<Api>, Part(digest): Part) -> Answer<Response> {
    check(&digest)?;
    match api.handle.shared.bundles.get(&digest).await? {
        Some(content) => Ok(tar(content)),
        None => Err(Problem::new(Code::NotFound, format!("there is no bundle {digest}")).into()),
    }
}

pub(super) async fn put_bundle(State(api): State<Api>, Part(digest): Part, body: Body) -> Answer<StatusCode> {
    check(&digest)?;
    api.handle.shared.bundles.put(&digest, bytes(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn export_volume(State(api): State<Api>, Part(rest): Part) -> Answer<Response> {
    Ok(tar(api.handle.export_volume(data_of(&rest)?).await?))
}

pub(super) async fn import_volume(State(api): State<Api>, Part(rest): Part, body: Body) -> Answer<StatusCode> {
    api.handle.import_volume(data_of(&rest)?, bytes(body)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_volume(State(api): State<Api>, Part(rest): Part) -> Answer<StatusCode> {
    api.handle.remove_volume(&rest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of a volume in the path of its data.
fn data_of(rest: &str) -> Result<&str, Refusal> {
    let missing =
        || Refusal(Problem::new(Code::NotFound, "there is nothing at this path; a volume's content is at …/data"));
    rest.strip_suffix("/data").ok_or_else(missing)
}

fn check(digest: &str) -> Result<(), Refusal> {
    if digest.len() == 64 && digest.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    let message = format!("{digest:?} is not a digest: 64 lower-case hexadecimal digits");
    Err(Refusal(Problem::new(Code::BadRequest, message)))
}

fn bytes(body: Body) -> ByteStream {
    body.into_data_stream().map_err(std::io::Error::other).boxed()
}

fn tar(content: ByteStream) -> Response {
    ([(header::CONTENT_TYPE, "application/x-tar")], Body::from_stream(content)).into_response()
}
