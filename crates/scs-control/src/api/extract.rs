//! What requests bring: parts of paths, queries and documents, each checked before it is used.

use super::answer::Refusal;
use crate::orchestrate::is_plain;
use axum::body::to_bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use scs_api::error::{Code, Problem};
use serde::de::DeserializeOwned;

/// The largest document that is read into memory; a deployment of a thousand roles is some megabytes.
const LARGEST: usize = 32 << 20;

/// A JSON document.
#[derive(Debug)]
pub struct Document<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Document<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal(Problem::new(Code::BadRequest, message).hint("nothing was changed"));
        let bytes = to_bytes(request.into_body(), LARGEST)
            .await
            .map_err(|_| bad(format!("the request broke off or is larger than {} MiB", LARGEST >> 20)))?;
        // The parser's own words quote what it found, which may be a secret.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = if error.is_data() { "is not what is expected here" } else { "is no JSON" };
            bad(format!("the request {what} (line {line}, column {column})"))
        })
    }
}

/// Environment and service of a path, and further parts of it.
#[derive(Debug)]
pub(super) struct Of<T>(pub(super) T);

impl<S: Send + Sync> FromRequestParts<S> for Of<[String; 2]> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<(String, String)>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path((environment, service)) = path.map_err(|it| unreadable(&it))?;
        check(&environment, &service)?;
        Ok(Self([environment, service]))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Of<[String; 3]> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<(String, String, String)>, PathRejection> = Path::from_request_parts(parts, state).await;
        let Path((environment, service, name)) = path.map_err(|it| unreadable(&it))?;
        check(&environment, &service)?;
        plain(&name)?;
        Ok(Self([environment, service, name]))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Of<[String; 4]> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<(String, String, String, String)>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path((environment, service, name, other)) = path.map_err(|it| unreadable(&it))?;
        check(&environment, &service)?;
        plain(&name)?;
        plain(&other)?;
        Ok(Self([environment, service, name, other]))
    }
}

/// One part of a path, or the rest of it.
#[derive(Debug)]
pub struct Part(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(part)| Self(part)).map_err(|it| unreadable(&it))
    }
}

/// Query parameters.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|it| unreadable(&it))
    }
}

fn unreadable(rejection: &impl std::fmt::Display) -> Refusal {
    Refusal(Problem::new(Code::BadRequest, rejection.to_string()))
}

fn check(environment: &str, service: &str) -> Result<(), Refusal> {
    for (what, name) in [("environment", environment), ("service", service)] {
        if !disco_proto::label(name) {
            let message = format!("{what} {name:?} is not a name: lower-case letters, digits and dashes, 63 at most");
            return Err(Refusal(Problem::new(Code::BadRequest, message)));
        }
    }
    Ok(())
}

fn plain(name: &str) -> Result<(), Refusal> {
    if is_plain(name) {
        Ok(())
    } else {
        Err(Refusal(Problem::new(Code::BadRequest, format!("{name:?} is not a name"))))
    }
}
