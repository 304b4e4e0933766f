//! Requests that are answered at once.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use disco_core::{Filter, Grants};
use disco_proto::{Condition, label};

use super::{
    Shared,
    openapi::document,
    problem::Problem,
    types::{Asked, Candidate, Endpoint, Endpoints, Explanation, Readiness, Ready, Session, Sessions, Which},
};

type Answer<T> = Result<Json<T>, Problem>;
pub(super) type Looked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn looked<T>(query: Looked<T>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| Problem::bad(error.body_text()))
}

/// Endpoints, all or some
#[utoipa::path(get, path = "/v1/endpoints", params(Which), tag = "registry", responses(
    (status = 200, description = "What the peer may see of them", body = Endpoints),
    (status = 400, description = "`invalid_params`", body = Problem),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn endpoints(
    State(shared): State<Arc<Shared>>,
    Extension(grants): Extension<Grants>,
    query: Looked<Which>,
) -> Answer<Endpoints> {
    let (present, _) = shared.handle.watch(looked(query)?.into()).await?;
    Ok(Json(Endpoints::of(&shared.epoch, &present, |endpoint| sees(&grants, endpoint))))
}

pub(super) fn sees(grants: &Grants, endpoint: &disco_proto::Endpoint) -> bool {
    grants.sees(&endpoint.name.environment, &endpoint.name.service)
}

/// Endpoints of one name; the role may be `*`
#[utoipa::path(get, path = "/v1/endpoints/{environment}/{service}/{role}/{endpoint}", tag = "registry", params(
    ("environment" = String, Path, description = "Environment"),
    ("service" = String, Path, description = "Service"),
    ("role" = String, Path, description = "Role, or `*`: any"),
    ("endpoint" = String, Path, description = "Endpoint"),
), responses(
    (status = 200, description = "At least one", body = Endpoints),
    (status = 400, description = "`invalid_params`: it is no name", body = Problem),
    (status = 403, description = "`forbidden`: the certificate does not say that its holder may", body = Problem),
    (status = 404, description = "`not_found`: nobody provides it", body = Problem),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn endpoint(
    State(shared): State<Arc<Shared>>,
    Extension(grants): Extension<Grants>,
    Path((environment, service, role, endpoint)): Path<(String, String, String, String)>,
) -> Answer<Endpoints> {
    let name = format!("{environment}/{service}/{role}/{endpoint}");
    for (part, wild) in [(&environment, false), (&service, false), (&role, true), (&endpoint, false)] {
        let fits = label(part) || (wild && part == "*");
        if !fits {
            return Err(Problem::bad(format!("`{part}` in `{name}` is not a DNS label")));
        }
    }
    if !grants.sees(&environment, &service) {
        return Err(Problem::forbidden(format!("this peer may not ask in {environment}/{service}")));
    }
    let filter = Filter {
        environment: Some(environment),
        service: Some(service),
        role: (role != "*").then_some(role),
        endpoint: Some(endpoint),
    };
    let (present, _) = shared.handle.watch(filter).await?;
    if present.endpoints.is_empty() {
        let problem = Problem::missing(format!("nobody provides {name}"));
        return Err(if present.complete {
            problem
        } else {
            problem.hint("the server has just started and has not heard of everyone")
        });
    }
    Ok(Json(Endpoints::of(&shared.epoch, &present, |_| true)))
}

/// Why a subscriber would get an endpoint, or not
#[utoipa::path(get, path = "/v1/explain", params(Asked), tag = "registry", responses(
    (status = 200, description = "Every provider of the name, in whatever role", body = Explanation),
    (status = 400, description = "`invalid_params`", body = Problem),
    (status = 403, description = "`forbidden`", body = Problem),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Extension(grants): Extension<Grants>,
    query: Looked<Asked>,
) -> Answer<Explanation> {
    let asked = looked(query)?;
    let parts: Vec<&str> = asked.name.split('/').collect();
    let [environment, service, role, endpoint] = parts[..] else {
        return Err(Problem::bad(format!("`{}` is not `environment/service/role/endpoint`", asked.name)));
    };
    let wanted = disco_proto::Query {
        environment: environment.to_owned(),
        service: service.to_owned(),
        role: role.to_owned(),
        endpoint: endpoint.to_owned(),
        r#match: pairs("match", asked.r#match.as_deref())?
            .into_iter()
            .map(|(name, value)| (name, Condition::In(vec![value])))
            .collect(),
        prefer: asked.prefer.iter().flat_map(|prefer| prefer.split(',')).map(str::to_owned).collect(),
        instance: None,
    };
    wanted.check().map_err(|invalid| Problem::bad(invalid.to_string()))?;
    if !grants.sees(environment, service) {
        return Err(Problem::forbidden(format!("this peer may not ask in {environment}/{service}")));
    }
    let attributes = pairs("attributes", asked.attributes.as_deref())?;
    let verdicts = shared.handle.explain(wanted, attributes).await?;
    let candidates = verdicts.iter().map(|(endpoint, verdict)| Candidate {
        chosen: *verdict == crate::Verdict::Chosen,
        reason: verdict.to_string(),
        endpoint: Endpoint::of(endpoint),
    });
    Ok(Json(Explanation { candidates: candidates.collect() }))
}

fn pairs(what: &str, text: Option<&str>) -> Result<BTreeMap<String, String>, Problem> {
    let pairs = text.unwrap_or_default().split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Problem::bad(format!("`{pair}` in `{what}` is not `name=value`")))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Who is connected, or was a moment ago
#[utoipa::path(get, path = "/v1/sessions", tag = "server", responses(
    (status = 200, description = "All of them", body = Sessions),
    (status = 403, description = "`forbidden`: for peers on the server's machine, or that may require everywhere", body = Problem),
    (status = 503, description = "`unavailable`", body = Problem),
))]
pub(super) async fn sessions(
    State(shared): State<Arc<Shared>>,
    Extension(grants): Extension<Grants>,
) -> Answer<Sessions> {
    // A session is of no one environment; only who may see all may see who there is. No label is called so.
    if !grants.sees("*", "*") {
        return Err(Problem::forbidden("sessions are shown to those who may require everywhere (`*/*`)"));
    }
    let view = shared.handle.snapshot().await?;
    let sessions = view.sessions.into_iter().map(|session| Session {
        session: session.session,
        agent: session.agent,
        attributes: session.attributes,
        connected: session.connected,
        provisions: session.provisions,
        requirements: session.requirements,
    });
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// Whether the process answers
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "`ok`", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the registry answers
#[utoipa::path(get, path = "/readyz", params(Ready), tag = "server", responses(
    (status = 200, description = "It does. While it holds after a start, too: clients must come back to it", body = Readiness),
    (status = 400, description = "`invalid_params`", body = Problem),
    (status = 503, description = "`unavailable`: it does not, or, with `complete=true`, it has not heard of everyone yet", body = Problem),
))]
pub(super) async fn readyz(State(shared): State<Arc<Shared>>, query: Looked<Ready>) -> Answer<Readiness> {
    let Ready { complete } = looked(query)?;
    let stats = shared.handle.stats().await?;
    if complete && !stats.complete {
        return Err(Problem::unavailable("the server has just started and has not heard of everyone yet"));
    }
    Ok(Json(Readiness { complete: stats.complete, rev: stats.rev }))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(super) async fn openapi() -> Json<serde_json::Value> {
    Json(document())
}

pub(super) async fn nowhere(uri: axum::http::Uri) -> Problem {
    Problem::missing(format!("there is nothing at {}", uri.path())).hint("/openapi.json says what there is")
}
