//! Errors as the HTTP API answers them.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use disco_proto::Code;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Ended, Revoked};

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Stable code; each has a page in `docs/errors/`.
    #[schema(example = "not_found")]
    code: &'static str,
    /// What is wrong, for people.
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    status: StatusCode,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, status }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The request makes no sense.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_params", message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The peer's certificate does not allow it.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message).hint("whoever issued the certificate decides that")
    }

    /// The whole of an answer to whoever is not let in, before it has asked.
    pub(super) fn last_words(&self) -> String {
        let body = serde_json::to_string(self).unwrap_or_default();
        let (status, length) = (self.status, body.len());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    }

    /// Not now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }
}

impl From<Revoked> for Problem {
    fn from(revoked: Revoked) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Revoked.as_str(), revoked.to_string())
            .hint("if that was not meant, let it join again")
    }
}

impl From<Ended> for Problem {
    fn from(ended: Ended) -> Self {
        Self::unavailable(ended.to_string()).hint("try again in a moment, here or at another server")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
