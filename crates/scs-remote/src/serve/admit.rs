//! Who may ask an agent for what.

use super::Api;
use crate::wire;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
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
        Peer::Holder { identity, .. } if may(&identity, request.method(), request.uri().path()) => {
            next.run(request).await
        }
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

/// Servers may ask everything; other hosts fetch images, which hold no secrets.
fn may(identity: &Identity, method: &Method, path: &str) -> bool {
    match identity.kind {
        Kind::Server => true,
        Kind::Host => {
            let image = path.strip_prefix(wire::IMAGES).and_then(|rest| rest.strip_prefix('/'));
            method == Method::GET && image.is_some_and(|digest| !digest.is_empty() && !digest.contains('/'))
        }
        Kind::Person => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_fetches_images_and_nothing_else() {
        let who = |kind| Identity::new(kind, "h2").expect("a name");
        let may = |kind, method: Method, path| super::may(&who(kind), &method, path);
        assert!(may(Kind::Host, Method::GET, "/v1/images/abc"));
        for (method, path) in [
            (Method::GET, "/v1/images"),
            (Method::GET, "/v1/images/"),
            (Method::GET, "/v1/images/abc/exec"),
            (Method::DELETE, "/v1/images/abc"),
            (Method::PUT, "/v1/assignments"),
            (Method::GET, "/v1/report"),
        ] {
            assert!(!may(Kind::Host, method.clone(), path), "{method} {path}");
            assert!(may(Kind::Server, method, path));
        }
        assert!(!may(Kind::Person, Method::GET, "/v1/images/abc"));
    }
}
