//! The HTTP API: routes of [`scs_api::routes`] over a [`Handle`]. The listener it is given
//! says who is at the other end (a private Unix socket, or TLS with certificates), [`guard`] what they may do.

mod activity;
pub mod answer;
mod changes;
mod exec;
pub mod extract;
mod guard;
mod hosts;
mod images;
mod look;
mod membership;
mod peer;
mod tls;
mod transfer;

pub(crate) use activity::Activity;
pub use exec::carry;
pub use peer::Peer;
pub use tls::TlsListener;

use crate::service::Handle;
use answer::Refusal;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use axum::serve::{IncomingStream, Listener};
use scs_api::error::{Code, Problem};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long requests that are being answered may take once the end was asked for.
const PARTING: Duration = Duration::from_secs(2);

/// Serves the API on a listener until told to stop.
pub async fn serve<L>(listener: L, handle: Handle, shutdown: CancellationToken) -> std::io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
    for<'a> Peer: Connected<IncomingStream<'a, L>>,
{
    let stop = shutdown.clone();
    let router = router(handle, &shutdown).into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(PARTING).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = late => Ok(()),
    }
}

/// What every request works with.
#[derive(Debug, Clone)]
struct Api {
    handle: Handle,
    /// Ends streams that would go on for ever.
    shutdown: CancellationToken,
}

fn router(handle: Handle, shutdown: &CancellationToken) -> Router {
    let api = Api { handle, shutdown: shutdown.clone() };
    let service = Router::new()
        .route("/plan", post(changes::plan))
        .route("/up", post(changes::up))
        .route("/down", post(changes::down))
        .route("/build", post(changes::build))
        .route("/rollback", post(changes::rollback))
        .route("/roles/{role}/{action}", post(changes::role))
        .route("/roles/{role}/move", post(changes::move_role))
        .route("/roles/{role}/move/abort", post(changes::abort_move))
        .route("/history", get(look::history))
        .route("/secrets", get(look::secrets))
        .route("/secrets/{name}", put(changes::set_secret))
        .route("/secrets/{name}/rotate", post(changes::rotate_secret))
        .route("/roles/{role}/requirements/{requirement}", get(look::explain));
    Router::new()
        .route("/v1/version", get(look::version))
        .route("/v1/bundles/{digest}", get(transfer::get_bundle).head(transfer::has_bundle).put(transfer::put_bundle))
        .nest("/v1/services/{environment}/{service}", service)
        .route("/v1/environments", get(look::environments))
        .route("/v1/instances", get(look::instances))
        .route("/v1/instances/{instance}/exec", get(exec::exec))
        .route("/v1/logs", get(look::logs))
        .route("/v1/volumes", get(look::volumes))
        .route(
            "/v1/volumes/{*rest}",
            get(transfer::export_volume).put(transfer::import_volume).delete(transfer::remove_volume),
        )
        .route("/v1/disco", get(look::endpoints))
        .route("/v1/disco/resolve", post(look::resolve))
        .route("/v1/disco/watch", get(look::watch))
        .route("/v1/hosts", get(hosts::list))
        .route("/v1/hosts/{host}", get(hosts::inspect).delete(hosts::remove))
        .route("/v1/hosts/{host}/labels", post(hosts::label))
        .route("/v1/hosts/{host}/drain", post(hosts::drain))
        .route("/v1/hosts/{host}/undrain", post(hosts::undrain))
        .route("/v1/hosts/{host}/give-up", post(hosts::give_up))
        .route("/v1/hosts/{host}/leave", post(hosts::leave))
        .route("/v1/images/{digest}/claim", post(images::claim).delete(images::release))
        .route("/v1/tokens", post(membership::token))
        .route("/v1/join", post(membership::join))
        .route("/v1/renew", post(membership::renew))
        .route("/v1/people", get(membership::people))
        .route("/v1/people/{person}", put(membership::set_person).delete(membership::remove_person))
        .route("/v1/audit", get(membership::audit))
        .route("/v1/prune", post(changes::prune))
        .route("/v1/shutdown", post(changes::shut_down))
        .fallback(async || Refusal(Problem::new(Code::NotFound, "there is nothing at this path")))
        .method_not_allowed_fallback(async || {
            Refusal(Problem::new(Code::BadRequest, "this path is not asked with this method"))
        })
        .layer(from_fn_with_state(api.clone(), guard::guard))
        .layer(from_fn_with_state(api.clone(), activity::count))
        .with_state(api)
}
