//! The OpenAPI document, from the types and routes themselves.

use utoipa::OpenApi;

use super::{metrics, problem, routes, types, watch};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "disco",
        description = "Who provides what, every change of it, and why.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::endpoints,
        routes::endpoint,
        watch::watch,
        routes::explain,
        routes::sessions,
        routes::healthz,
        routes::readyz,
        metrics::metrics,
        routes::openapi,
    ),
    components(schemas(
        types::Endpoints,
        types::Endpoint,
        types::Change,
        types::Explanation,
        types::Candidate,
        types::Sessions,
        types::Session,
        types::Readiness,
        problem::Problem,
        watch::Note,
    ))
)]
struct Document;

/// The document.
pub fn document() -> serde_json::Value {
    serde_json::to_value(Document::openapi()).unwrap_or_default()
}
