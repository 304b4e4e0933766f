//! Answers: documents, streams of documents, and problems with the status that goes with them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use scs_api::error::{Code, Problem};
use scs_api::routes::WARNING;
use serde::Serialize;
use std::convert::Infallible;

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Problem);

/// An answer, or why there is none.
pub(super) type Answer<T> = Result<T, Refusal>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Conflict | Code::StalePlan => StatusCode::CONFLICT,
            Code::Locked => StatusCode::LOCKED,
            Code::Unavailable | Code::EngineUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Failed => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// The answer with its warnings, each in a header [`WARNING`] of its own.
pub(super) fn warned(warnings: &[String], answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    for warning in warnings {
        // A header is one line; what else a host says of itself is text like any other.
        let line: String = warning.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

/// One JSON object a line, each sent as soon as it is there.
pub(super) fn lines<T: Serialize + 'static>(stream: impl Stream<Item = T> + Send + 'static) -> Response {
    let lines = stream.map(|item| {
        let mut line = serde_json::to_vec(&item).expect("types of the API have text keys only");
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
