//! A command in a container over a WebSocket, whose messages are those of [`scs_api::exec`].

use super::Api;
use super::answer::Answer;
use super::extract::{Parameters, Part};
use crate::access::Access;
use crate::agents::ExecSession;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::StreamExt;
use scs_api::error::{Code, Problem};
use scs_api::exec::{Input, LARGEST};
use scs_api::person::Role;
use scs_api::routes::ExecQuery;

/// Refused before the connection becomes a WebSocket where it can be, so that the answer is a plain problem.
pub(super) async fn exec(
    State(api): State<Api>,
    Extension(access): Extension<Access>,
    Part(instance): Part,
    Parameters(query): Parameters<ExecQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let upgrade = upgrade.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    if serde_json::from_str::<Vec<String>>(&query.command).map_or(true, |command| command.is_empty()) {
        return Err(Problem::new(Code::BadRequest, "`command` is not a JSON array with a command in it").into());
    }
    // One that is not there is refused by whoever looks for it.
    if let Some(environment) = api.handle.environment_of(&instance) {
        access.may(Role::Deploy, Some(&environment))?;
    }
    let session = api.handle.exec(&instance, query).await?;
    let active = api.handle.shared.activity.begin();
    Ok(upgrade.max_message_size(LARGEST).on_upgrade(async move |socket| {
        carry(socket, session).await;
        drop(active);
    }))
}

/// Carries a session over a WebSocket to its end. Dropping it ends the session.
pub async fn carry(socket: WebSocket, session: ExecSession) {
    use futures_util::SinkExt;
    let (mut sender, mut receiver) = socket.split();
    let ExecSession { input, mut output } = session;
    let inward = async {
        while let Some(Ok(message)) = receiver.next().await {
            let input_message = match message {
                Message::Binary(bytes) => Input::decode(bytes),
                Message::Close(_) => break,
                _ => None,
            };
            if let Some(message) = input_message
                && input.send(message).await.is_err()
            {
                // The command takes nothing more; what it still says is carried on.
                std::future::pending::<()>().await;
            }
        }
    };
    let outward = async {
        while let Some(message) = output.next().await {
            if sender.send(Message::Binary(message.encode())).await.is_err() || message.is_last() {
                break;
            }
        }
        let _ = sender.close().await;
    };
    // A client that goes away ends the session: both ends are dropped.
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}
