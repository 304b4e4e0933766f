//! `scs server`: discovery of one's own, and with `--advertise` the control plane of a cluster, in the foreground for systemd or a
//! person to own.

mod admission;
mod authority;
mod cluster;

use super::{Context, Outcome};
use crate::cli::server::{Http, Log, Server};
use crate::dev::{self, daemon, notify};
use crate::env;
use crate::exit::{Exit, Failure};
use disco_server::{Admission, Limits, http};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use scs_pki::{Files, Kind, Live, Unusable};
use std::fs::{File, OpenOptions, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// File descriptors that are not for clients: listeners, files, the HTTP API.
const RESERVED: u64 = 1100;
/// How often the certificate's end is looked at.
const LOOK: Duration = Duration::from_secs(60);

/// Everything that was asked for, checked; nothing is bound yet.
struct Plan {
    disco: disco_server::Options,
    http: Option<http::Options>,
    tls: Option<Arc<Live>>,
    cluster: Option<cluster::Plan>,
    _lock: File,
}

/// Ports of discovery, of its HTTP API alone, and of that where the API of a cluster has the usual one.
const DISCO: u16 = 9640;
const HTTP: u16 = 9641;
const HTTP_BESIDE: u16 = 9643;

/// Runs it.
pub fn run(context: &Context, args: &Server) -> Outcome {
    logged(context, args.log)?;
    let plan = plan(context, args)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| super::no_runtime(&error))?;
    let outcome = runtime.block_on(serve(plan));
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

fn plan(context: &Context, args: &Server) -> Result<Plan, Failure> {
    let state = args.state.clone().unwrap_or_else(|| context.settings.state.join("server"));
    let heartbeat = duration("heartbeat", &args.heartbeat, Duration::from_millis(100))?;
    let hold = duration("hold", &args.hold, Duration::ZERO)?;
    let failback = duration("failback", &args.failback, Duration::ZERO)?;
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let clustered = !args.advertise.is_empty();
    let listen = args.listen.unwrap_or_else(|| if clustered { cluster::listen(args, DISCO) } else { here(DISCO) });
    let http = args.http.unwrap_or(Http::At(here(if clustered { HTTP_BESIDE } else { HTTP })));
    for address in std::iter::once(listen).chain(at(http)).filter(|_| args.certificates.is_none() && !clustered) {
        if !address.ip().to_canonical().is_loopback() {
            return Err(exposed(address));
        }
    }
    dev::prepare(&state).map_err(|error| daemon::unusable(&state, &error))?;
    let lock = lock(&state)?;
    let secret = daemon::secret(&state)?;
    let cluster = if clustered { Some(cluster::plan(args, &state, listen.port(), secret)?) } else { None };
    let tls = match &cluster {
        Some(cluster) => Some(cluster.live.clone()),
        None => args.certificates.as_deref().map(|directory| certificates(directory, secret)).transpose()?,
    };
    let admit = cluster.as_ref().map(|cluster| cluster.gate.clone() as Arc<dyn disco_server::Admit>);
    let admission = Admission {
        connections: fitting(args.max_connections as usize),
        per_address: args.max_per_address as usize,
        ..Admission::default()
    };
    let disco = disco_server::Options {
        heartbeat,
        hold,
        failback,
        secret: Some(secret),
        snapshot: Some(state.join("registry")),
        limits: Limits { messages: args.max_rate, ..Limits::default() },
        tls: tls.clone(),
        admit: admit.clone(),
        admission,
        ..disco_server::Options::new(listen)
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // On loopback it is plain, as everywhere: whoever is on the machine may look.
    let plain = clustered && at(http).is_some_and(|it| it.ip().to_canonical().is_loopback());
    let secured = tls.clone().filter(|_| !plain);
    let http = at(http).map(|listen| http::Options { listen, tls: secured, admit, version });
    Ok(Plan { disco, http, tls, cluster, _lock: lock })
}

fn at(http: Http) -> Option<SocketAddr> {
    match http {
        Http::Off => None,
        Http::At(address) => Some(address),
    }
}

fn duration(what: &str, text: &str, least: Duration) -> Result<Duration, Failure> {
    scs_manifest::duration::parse(text).filter(|duration| *duration >= least).ok_or_else(|| {
        let failure = Failure::usage(format!("`{text}` makes no sense as --{what}"));
        if least.is_zero() { failure.hint("try 500ms or 15s") } else { failure.hint("try 1s; 100ms is the least") }
    })
}

fn exposed(address: SocketAddr) -> Failure {
    Failure::usage(format!("{address} is not loopback, and there only those with a certificate may come in"))
        .hint("`scs ca init` and `scs ca issue server` make certificates for `--certificates DIR`; nothing was started")
}

fn certificates(directory: &Path, secret: [u8; 32]) -> Result<Arc<Live>, Failure> {
    let live = Live::open(Files::within(directory), Some(secret)).map_err(|error| unusable(&error))?;
    let credentials = live.credentials();
    if credentials.identity.kind != Kind::Server {
        let path = live.files().certificate.display().to_string();
        return Err(Failure::failed(format!("{path} is the certificate of {}, not of a server", credentials.identity))
            .hint("`scs ca issue server NAME --address …` makes one; nothing was started"));
    }
    Ok(Arc::new(live))
}

pub(super) fn unusable(error: &Unusable) -> Failure {
    let failure = Failure::failed(error.to_string());
    let failure = match std::error::Error::source(error) {
        Some(cause) => failure.because(cause),
        None => failure,
    };
    failure.hint(format!("{}; nothing was started", error.hint()))
}

/// One server for each state directory.
fn lock(state: &Path) -> Result<File, Failure> {
    let path: PathBuf = state.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| daemon::unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another `scs server` uses {}", state.display());
            Err(Failure::new(Exit::LOCKED, message).hint("end it, or give this one a directory with `--state DIR`"))
        }
        Err(TryLockError::Error(error)) => Err(daemon::unusable(&path, &error)),
    }
}

/// Raises the limit of file descriptors as far as this process may, and says how many connections that leaves of those wanted.
fn fitting(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = if raised.is_ok() { limit.maximum } else { limit.current };
    let Some(descriptors) = now else { return wanted };
    let room = usize::try_from(descriptors.saturating_sub(RESERVED).max(descriptors / 2)).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            descriptors,
            connections = room,
            wanted,
            "fewer connections fit than asked for; raise LimitNOFILE= of the unit, or `ulimit -Hn`"
        );
    }
    wanted.min(room)
}

async fn serve(plan: Plan) -> Outcome {
    let disco = disco_server::Service::bind(plan.disco.clone()).await.map_err(|error| unbound(&error))?;
    let address = disco.local_addr();
    let api = match plan.http {
        Some(options) => {
            Some(http::Service::bind(options, disco.handle(), disco.traffic()).await.map_err(|error| unbound(&error))?)
        }
        None => None,
    };
    let cluster = match plan.cluster {
        Some(cluster) => Some(cluster.bind(disco.handle()).await?),
        None => None,
    };
    let url = cluster.as_ref().map(|cluster| cluster.url().to_owned());
    let stop = CancellationToken::new();
    // The API ends first: it looks into the registry.
    let http_address = api.as_ref().map(|api| api.local_addr().to_string());
    let mut disco = tokio::spawn(disco.run(stop.clone()));
    let api = tokio::spawn({
        let stop = stop.clone();
        async move {
            match api {
                Some(api) => api.run(stop).await,
                None => stop.cancelled().await,
            }
        }
    });
    let mut api = api;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        disco = %address,
        http = http_address,
        tls = plan.tls.is_some(),
        connections = plan.disco.admission.connections,
        api = url,
        "scs server is ready"
    );
    notify::ready();
    if let Some(cluster) = &cluster {
        cluster.welcome().await?;
    }
    let mut control = tokio::spawn({
        let stop = stop.clone();
        async move {
            match cluster {
                Some(cluster) => cluster.run(stop).await,
                None => stop.cancelled().await,
            }
        }
    });
    let defect = tokio::select! {
        () = super::interrupted() => None,
        ended = &mut disco => Some(("registry", ended)),
        ended = &mut api => Some(("HTTP API", ended)),
        ended = &mut control => Some(("control plane", ended)),
        () = look_after(plan.tls.as_deref()) => None,
    };
    notify::stopping();
    stop.cancel();
    if let Some((name, ended)) = defect {
        let failure = Failure::failed(format!("the {name} ended by a defect, see above"));
        let failure = match ended {
            Err(error) => failure.because(&error),
            Ok(()) => failure,
        };
        return Err(failure.hint("clients keep what they know; whatever starts the server again is told by them"));
    }
    tracing::info!("told to end; clients are told to come back");
    let _ = control.await;
    let _ = disco.await;
    let _ = api.await;
    Ok(Exit::DONE)
}

fn unbound(error: &disco_server::Error) -> Failure {
    let failure = Failure::unavailable(error.to_string());
    match std::error::Error::source(error) {
        Some(cause) => failure.because(cause),
        None => failure,
    }
    .hint("is another server there already? nothing was started")
}

/// Reads certificates again when told to (SIGHUP) or when they have changed, and says in time that they end. Never done.
async fn look_after(tls: Option<&Live>) {
    let Some(live) = tls else { return std::future::pending().await };
    let Ok(mut told) = signal(SignalKind::hangup()) else { return std::future::pending().await };
    let mut warned: Option<SystemTime> = None;
    loop {
        let asked = tokio::select! {
            asked = told.recv() => asked.is_some(),
            () = tokio::time::sleep(LOOK) => false,
        };
        if asked {
            match live.reload() {
                Ok(true) => {}
                Ok(false) => tracing::info!("told to read the certificate again; it has not changed"),
                Err(error) => {
                    tracing::warn!(%error, hint = error.hint(), "the new certificate cannot be used; going on with the one before")
                }
            }
        }
        let credentials = live.credentials();
        let (from, until) = (credentials.certificate.not_before, credentials.certificate.not_after);
        let whole = until.duration_since(from).unwrap_or_default();
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        // Once for each certificate.
        if left < whole / 4 && warned != Some(until) {
            warned = Some(until);
            tracing::warn!(
                seconds = left.as_secs(),
                "the certificate ends soon; issue it anew with `scs ca issue`, clients are turned away after that"
            );
        }
    }
}

/// Text where somebody looks on, else an object a line.
pub(super) fn logged(context: &Context, format: Option<Log>) -> Result<(), Failure> {
    let settings = &context.settings;
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| {
        Failure::usage(format!("{}={} makes no sense", env::LOG, settings.log))
            .because(&error)
            .hint("try `info` or `disco_server=debug`")
    })?;
    let text = format.map_or(settings.screen.live, |format| format == Log::Text);
    let layer = if text {
        fmt::layer().with_writer(std::io::stderr).with_ansi(settings.screen.stderr_color).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    };
    // A second one is a defect of ours, and no reason not to run.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(())
}
