//! `scs agent`: runs the containers of a host, in the foreground for systemd or a person to own.

mod join;
mod renew;

use super::server::logged;
use super::{Context, Outcome};
use crate::cli::agent::Agent;
use crate::dev::lock::Lock;
use crate::dev::{self, daemon, notify};
use crate::exit::{Exit, Failure};
use crate::membership::{self, Membership};
use crate::wiring::installation::{Installation, Place};
use crate::wiring::peers::Peers;
use scs_pki::{Files, Live};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Port where the server and other agents connect.
const PORT: u16 = 9642;
/// How long the endpoints of this host outlive its connection to discovery.
const WINDOW: Duration = Duration::from_secs(30);
/// How long each part may take to end before it is left to the kernel.
const PARTING: Duration = Duration::from_secs(5);

/// Runs it.
pub fn run(context: &Context, args: &Agent) -> Outcome {
    logged(context, args.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| super::no_runtime(&error))?;
    let outcome = runtime.block_on(serve(context, args));
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

async fn serve(context: &Context, args: &Agent) -> Outcome {
    let state = args.state.clone().unwrap_or_else(|| context.settings.state.join("host"));
    dev::prepare(&state).map_err(|error| daemon::unusable(&state, &error))?;
    let _lock = Lock::take(&state.join("agent.pid"), "scs agent")?;
    let membership = join::enter(&state, args).await?;
    let live = certificate(&state)?;
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from((membership.advertise, PORT)));
    let mut membership = membership;
    loop {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::unavailable(format!("cannot listen on {listen}"))
                .because(&error)
                .hint("is another `scs agent` there, or is --advertise no address of this machine? nothing was started")
        })?;
        let place = Place {
            state: state.clone(),
            shared: state.clone(),
            host: membership.name.clone(),
            advertise: Some(membership.advertise),
            peers: Some(Arc::new(Peers::new(&membership.server, live.clone())?)),
        };
        let installation = Installation::open(&context.settings, place).await?;
        match run_parts(&state, membership, live.clone(), listener, installation).await? {
            Ended::Told => return Ok(Exit::DONE),
            Ended::Changed(now) => {
                membership::write(&state, &now)?;
                tracing::info!(labels = ?now.labels, "this host's place in the cluster has changed; starting anew, containers keep running");
                membership = *now;
            }
        }
    }
}

/// Why the parts of an agent were ended.
enum Ended {
    /// Somebody said so.
    Told,
    /// What it told discovery of itself is so no longer.
    Changed(Box<Membership>),
}

/// The certificate of this host, as it is on disk.
fn certificate(state: &Path) -> Result<Arc<Live>, Failure> {
    let directory = membership::certificates(state);
    Live::open(Files::within(&directory), None).map(Arc::new).map_err(|error| {
        Failure::failed(format!("the certificate in {} cannot be used", directory.display()))
            .because(&error)
            .hint("join again with a new token of `scs host token`; containers keep running")
    })
}

async fn run_parts(
    state: &Path,
    membership: Membership,
    live: Arc<Live>,
    listener: TcpListener,
    installation: Installation,
) -> Result<Ended, Failure> {
    let (discovery, discovery_handle) = disco_client::Service::new(disco_client::Options {
        address: membership.disco.clone(),
        agent: format!("scs agent {} on {}", env!("CARGO_PKG_VERSION"), membership.name),
        attributes: membership.attributes(),
        window: WINDOW,
        cache: Some(state.join("endpoints.json")),
        tls: Some(disco_client::Tls::new({
            let live = live.clone();
            move || live.client()
        })),
    });
    let (cluster, attributes) = (Some(membership.cluster.clone()), membership.attributes());
    let (agent, handle) = installation.agent(state, cluster, attributes, Arc::new(discovery_handle))?;
    let relabelled = relabelled(handle.labels(), membership.clone());
    let local = Arc::new(installation.local(handle));
    let stops: [CancellationToken; 3] = std::array::from_fn(|_| CancellationToken::new());
    let [stop_api, stop_agent, stop_discovery] = stops.clone();
    let address = listener.local_addr().map_err(|error| Failure::failed("cannot listen").because(&error))?;
    let mut api = tokio::spawn({
        let serving = scs_remote::serve(listener, live.clone(), local, scs_remote::Options::default(), stop_api);
        async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the API ended badly");
            }
        }
    });
    let mut agent = tokio::spawn(agent.run(stop_agent));
    let mut discovery = tokio::spawn(discovery.run(stop_discovery));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        host.id = membership.name,
        server = %membership.server,
        listen = %address,
        cluster = membership.cluster,
        "scs agent is ready"
    );
    notify::ready();
    let ended = tokio::select! {
        () = super::interrupted() => Ok(Ended::Told),
        _ = &mut api => Err("API"),
        _ = &mut agent => Err("agent"),
        _ = &mut discovery => Err("discovery"),
        now = relabelled => Ok(Ended::Changed(Box::new(now))),
        now = renew::keep(membership, address.port(), live, state.to_owned()) => Ok(Ended::Changed(Box::new(now))),
    };
    if matches!(ended, Ok(Ended::Told)) {
        notify::stopping();
        tracing::info!("told to end; containers keep running");
    }
    for (stop, part) in stops.iter().zip([api, agent, discovery]) {
        stop.cancel();
        part_with(part).await;
    }
    ended.map_err(|name| {
        Failure::failed(format!("the {name} ended by a defect, see above"))
            .hint("containers keep running; whatever starts it again finds them")
    })
}

/// Done once the server says that this host has other labels.
async fn relabelled(mut labels: watch::Receiver<Option<BTreeMap<String, String>>>, known: Membership) -> Membership {
    let other = labels.wait_for(|labels| labels.as_ref().is_some_and(|labels| *labels != known.labels)).await;
    match other.map(|labels| labels.clone()) {
        Ok(Some(labels)) => Membership { labels, ..known },
        // The agent has ended, which is told elsewhere.
        _ => std::future::pending().await,
    }
}

async fn part_with(part: JoinHandle<()>) {
    if !part.is_finished() && tokio::time::timeout(PARTING, part).await.is_err() {
        tracing::warn!("a part did not end in time and is left behind");
    }
}
