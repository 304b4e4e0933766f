//! Who may ask an agent for what.

use super::Api;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use scs_api::error::{Code, Problem};
use scs_control::api::Peer;
use scs_control::api::answer::Refusal;
use scs_pki::{Identity, Kind};

/// Turns away everybody who may not ask.
pub(super) async fn check(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    match peer {
        Peer::Holder { identity, .. } if may(&identity) => next.run(request).await,
        peer => {
            let path = request.uri().path().to_owned();
            let who = match peer {
                Peer::Holder { identity, .. } => identity.to_string(),
                Peer::Owner | Peer::Nobody => "nobody known".to_owned(),
            };
            tracing::warn!(holder = who, path, "somebody asked the agent who may not");
            let message = format!("{who} may not ask the agent of host {}", api.agent.host());
            Refusal(Problem::new(Code::Forbidden, message).hint("ask the server of the cluster; nothing was changed"))
                .into_response()
        }
    }
}

/// Servers may ask everything, and nobody else anything. Other hosts will be let in here, to fetch volumes and images, path by path.
fn may(identity: &Identity) -> bool {
    identity.kind == Kind::Server
}
