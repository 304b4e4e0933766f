//! Requests that change what runs.

use super::Api;
use super::answer::{Answer, events, warned};
use super::extract::{Document, Of};
use crate::access::Access;
use crate::orchestrate::RoleAction;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Json, Response};
use scs_api::deploy::{
    AbortRequest, BuildRequest, DownRequest, MoveRequest, PlanRequest, PlanResponse, RoleRequest, RollbackRequest,
    UpRequest,
};
use scs_api::error::{Code, Problem};
use scs_api::secret::{RotateSecret, SetSecret};

pub(super) async fn plan(
    State(api): State<Api>,
    Of([environment, service]): Of<[String; 2]>,
    Document(request): Document<PlanRequest>,
) -> Answer<Json<PlanResponse>> {
    Ok(Json(api.handle.plan(&environment, &service, request).await?))
}

pub(super) async fn up(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service]): Of<[String; 2]>,
    Document(mut request): Document<UpRequest>,
) -> Answer<Response> {
    request.who = access.name(request.who);
    Ok(events(api.handle.up(&environment, &service, request).await?))
}

pub(super) async fn down(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service]): Of<[String; 2]>,
    Document(mut request): Document<DownRequest>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    Ok(events(api.handle.down(&environment, &service, request).await?))
}

pub(super) async fn build(
    State(api): State<Api>,
    Of([environment, service]): Of<[String; 2]>,
    Document(request): Document<BuildRequest>,
) -> Answer<Response> {
    Ok(events(api.handle.build(&environment, &service, request).await?))
}

pub(super) async fn rollback(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service]): Of<[String; 2]>,
    Document(mut request): Document<RollbackRequest>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    Ok(events(api.handle.rollback(&environment, &service, request).await?))
}

pub(super) async fn role(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service, role, action]): Of<[String; 4]>,
    Document(mut request): Document<RoleRequest>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    let action = match action.as_str() {
        "restart" => RoleAction::Restart,
        "stop" => RoleAction::Stop,
        "start" => RoleAction::Start,
        other => return Err(Problem::new(Code::NotFound, format!("a role cannot be asked to {other:?}")).into()),
    };
    Ok(events(api.handle.role(&environment, &service, &role, action, request).await?))
}

pub(super) async fn move_role(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service, role]): Of<[String; 3]>,
    Document(mut request): Document<MoveRequest>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    Ok(events(api.handle.move_role(&environment, &service, &role, request).await?))
}

pub(super) async fn abort_move(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service, role]): Of<[String; 3]>,
    Document(mut request): Document<AbortRequest>,
) -> Answer<StatusCode> {
    request.caller.who = access.name(request.caller.who);
    api.handle.abort_move(&environment, &service, &role, &request).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_secret(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service, name]): Of<[String; 3]>,
    Document(mut request): Document<SetSecret>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    Ok(events(api.handle.set_secret(&environment, &service, &name, request).await?))
}

pub(super) async fn rotate_secret(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Of([environment, service, name]): Of<[String; 3]>,
    Document(mut request): Document<RotateSecret>,
) -> Answer<Response> {
    request.caller.who = access.name(request.caller.who);
    Ok(events(api.handle.rotate_secret(&environment, &service, &name, request).await?))
}

pub(super) async fn prune(State(api): State<Api>) -> Answer<Response> {
    let pruned = api.handle.prune().await?;
    Ok(warned(&pruned.warnings, Json(pruned.value)))
}

pub(super) async fn shut_down(State(api): State<Api>) {
    api.handle.shut_down();
}
