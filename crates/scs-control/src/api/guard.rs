//! Every request passes here: who asks is found out, what they may not do is refused, and what they did is written down.

use super::answer::Refusal;
use super::{Api, Peer};
use crate::access::{Access, Need, Who, need};
use crate::joining::unknown;
use crate::service::Handle;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream::StreamExt;
use scs_api::audit::Entry;
use scs_api::error::{Code, Problem};
use scs_pki::Kind;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// How a request whose answer is a stream ends; the stream says so when it does.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate(pub(super) Arc<OnceLock<String>>);

impl Fate {
    /// Of a request that is as good as over.
    pub(super) fn of(outcome: String) -> Self {
        let fate = Self::default();
        let _ = fate.0.set(outcome);
        fate
    }
}

/// What is written down of a request, when its answer has gone.
struct Record {
    handle: Handle,
    who: String,
    what: String,
    status: StatusCode,
    fate: Fate,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.handle.shared.audit.note(&Entry {
            at: SystemTime::now(),
            who: std::mem::take(&mut self.who),
            what: std::mem::take(&mut self.what),
            status: self.status.as_u16(),
            outcome: self.fate.0.get().cloned().unwrap_or_else(|| "left".to_owned()),
        });
    }
}

/// Lets a request through to what answers it, or refuses it.
pub(super) async fn guard(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let need = need(request.method().as_str(), &path);
    let audited = is_change(request.method(), &path);
    let what = format!("{} {path}", request.method());
    let found = match (&need, who(&api.handle, &peer).await) {
        // Whoever comes with a token is whoever the token is for.
        (Need::Nothing, found) => Ok(found.unwrap_or_else(|_| nobody())),
        (_, found) => found,
    };
    let name = match (&found, &peer) {
        (Ok(access), _) => access.who.to_string(),
        (Err(_), Peer::Holder { identity, .. }) => identity.to_string(),
        (Err(_), _) => Who::Nobody.to_string(),
    };
    let permitted = found.and_then(|access| access.permit(&need).map(|()| access));
    let mut response = match permitted {
        Ok(access) => {
            request.extensions_mut().insert(access);
            request.extensions_mut().insert(peer);
            next.run(request).await
        }
        Err(problem) => Refusal(problem).into_response(),
    };
    let status = response.status();
    if !audited && status != StatusCode::FORBIDDEN {
        return response;
    }
    let fate = response.extensions_mut().remove::<Fate>();
    let streams = fate.is_some();
    let fate = fate.unwrap_or_default();
    if !streams {
        let _ = fate.0.set(outcome(status, response.extensions().get::<Problem>()));
    }
    let record = Record { handle: api.handle.clone(), who: name, what, status, fate };
    if !streams {
        return response;
    }
    response.map(|body| {
        let stream = body.into_data_stream().map(move |chunk| {
            let _until_the_end = &record;
            chunk
        });
        Body::from_stream(stream)
    })
}

fn outcome(status: StatusCode, problem: Option<&Problem>) -> String {
    match problem {
        Some(problem) => format!("refused: {problem}"),
        None if status == StatusCode::SWITCHING_PROTOCOLS => "begun".to_owned(),
        None if status.is_client_error() || status.is_server_error() => format!("refused: {status}"),
        None => "done".to_owned(),
    }
}

/// Whether a request is written down: it changes something, goes into a container, or takes data away. Sources that are sent again and
/// again are not.
fn is_change(method: &Method, path: &str) -> bool {
    let looks = matches!(*method, Method::GET | Method::HEAD);
    if looks {
        return path.ends_with("/exec") || (path.starts_with("/v1/volumes/") && path.ends_with("/data"));
    }
    !(path.ends_with("/plan") || path == "/v1/disco/resolve" || path.starts_with("/v1/bundles/"))
}

fn nobody() -> Access {
    Access { who: Who::Nobody, role: None, environments: Vec::new() }
}

/// Who asks, and what they may do now: rights are in desired state, not in certificates, so that they can be changed.
async fn who(handle: &Handle, peer: &Peer) -> Result<Access, Problem> {
    let (identity, serial) = match peer {
        Peer::Owner => return Ok(Access::owner()),
        Peer::Nobody => return Ok(nobody()),
        Peer::Holder { identity, serial } => (identity, serial),
    };
    let state = &handle.shared.state;
    if state.is_revoked(serial).await? {
        return Err(Problem::new(Code::Forbidden, format!("this certificate of {identity} has been revoked")).hint(
            "nothing was changed; whoever was removed, or has joined anew elsewhere, joins again with a new token",
        ));
    }
    let name = identity.name.clone();
    match identity.kind {
        Kind::Host => {
            let there = state.host(&name).await?.is_some();
            there.then(|| Access { who: Who::Host(name), ..nobody() }).ok_or_else(|| unknown(identity))
        }
        Kind::Person => {
            let record = state.person(&name).await?.ok_or_else(|| unknown(identity))?;
            Ok(Access { who: Who::Person(name), role: Some(record.role), environments: record.environments })
        }
        Kind::Server => Ok(nobody()),
    }
}
