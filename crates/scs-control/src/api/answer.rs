//! Answers: documents, streams of documents, and problems with the status that goes with them.

use super::guard::Fate;
use crate::orchestrate::EventStream;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use scs_api::deploy::Event;
use scs_api::error::{Code, Problem};
use scs_api::routes::WARNING;
use serde::Serialize;
use std::convert::Infallible;

/// A request that is refused.
#[derive(Debug)]
pub struct Refusal(pub Problem);

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Refusal>;

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
        let mut response = (status, Json(&self.0)).into_response();
        // For the audit log.
        response.extensions_mut().insert(self.0);
        response
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

/// Events of a change, which remember how it ended.
pub(super) fn events(stream: EventStream) -> Response {
    let fate = Fate::default();
    let ending = fate.clone();
    let mut response = lines(stream.inspect(move |event| {
        let outcome = match event {
            Event::Done { revision, .. } => format!("done at revision {revision}"),
            Event::Failed { problem } => format!("failed: {problem}"),
            _ => return,
        };
        let _ = ending.0.set(outcome);
    }));
    response.extensions_mut().insert(fate);
    response
}

/// One JSON object a line, each sent as soon as it is there.
pub fn lines<T: Serialize + 'static>(stream: impl Stream<Item = T> + Send + 'static) -> Response {
    let lines = stream.map(|item| {
        let mut line = serde_json::to_vec(&item).expect("types of the API have text keys only");
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
