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
        Peer::Holder { ref identity, .. } if may(identity, request.method(), request.uri().path()) => {
            let mut request = request;
            request.extensions_mut().insert(peer);
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

/// Servers may ask everything but what goes from host to host; other hosts fetch images, which hold no secrets, and the volumes that the
/// agent knows to be offered to them.
fn may(identity: &Identity, method: &Method, path: &str) -> bool {
    let one_of = |places: &str| {
        let name = path.strip_prefix(places).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    };
    match identity.kind {
        Kind::Server => !one_of(wire::TRANSFERS),
        Kind::Host => method == Method::GET && (one_of(wire::IMAGES) || one_of(wire::TRANSFERS)),
        Kind::Person => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_fetches_images_and_offered_volumes_and_nothing_else() {
        let who = |kind| Identity::new(kind, "h2").expect("a name");
        let may = |kind, method: Method, path| super::may(&who(kind), &method, path);
        assert!(may(Kind::Host, Method::GET, "/v1/images/abc"));
        assert!(may(Kind::Host, Method::GET, "/v1/transfers/m1"));
        assert!(!may(Kind::Server, Method::GET, "/v1/transfers/m1"));
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
        assert!(!may(Kind::Person, Method::GET, "/v1/transfers/m1"));
    }
}
