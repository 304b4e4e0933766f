//! Server and agent of this machine in one process: started, joined, and ended in the order that keeps promises.

use super::lock::Lock;
use super::{Files, prepare};
use crate::client::socket;
use crate::exit::{Exit, Failure};
use crate::settings::Settings;
use crate::wiring::discovery::Registry;
use crate::wiring::installation::{self, Installation, Place};
use scs_control::store::Embedded;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long nothing may be wanted before one that was started by a command ends: the command that follows a `down` at once finds it.
const IDLE: Duration = Duration::from_secs(3);
/// How long the session of our agent outlives its connection.
const WINDOW: Duration = Duration::from_secs(30);
/// How long each part may take to end before it is left to the kernel.
const PARTING: Duration = Duration::from_secs(5);

/// Runs until it is told to end; containers keep running then. With `until_idle` it ends once nothing is to run any more.
///
/// # Errors
/// Where it cannot start; nothing was changed then.
pub async fn run(settings: &Settings, until_idle: bool) -> Result<Exit, Failure> {
    let files = Files::new(&settings.state);
    prepare(&files.state).map_err(|error| unusable(&files.state, &error))?;
    let _lock = Lock::take(&files.lock(), "scs dev").map_err(|failure| match failure.exit() {
        Exit::LOCKED => failure.hint("`scs dev --stop` ends it; containers keep running"),
        _ => failure,
    })?;
    let installation = Installation::open(settings, Place::alone(settings, &files.state)).await?;

    let registry = bind_registry(&files).await?;
    let address = registry.local_addr();
    let looking = Registry { handle: registry.handle(), address: address.to_string() };
    let guests = registry.handle();
    let ourselves = format!("scs dev {} on {}", env!("CARGO_PKG_VERSION"), installation.host);
    let (discovery, discovery_handle) = disco_client::Service::new(disco_client::Options {
        address: address.to_string(),
        agent: ourselves.clone(),
        attributes: BTreeMap::from([("host".to_owned(), installation.host.clone())]),
        window: WINDOW,
        cache: Some(files.state.join("endpoints.json")),
        tls: None,
    });
    let (agent, agent_handle) = installation.agent(&files.state, None, BTreeMap::new(), Arc::new(discovery_handle))?;
    let control_state = files.state.join("control");
    let store = Embedded::open(&control_state).map_err(|error| {
        Failure::failed("cannot open desired state")
            .because(&error)
            .hint("containers keep running; nothing was changed")
    })?;
    let (control, handle) = scs_control::Service::open(
        scs_control::Options {
            state_directory: control_state,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            loss_grace: Default::default(),
            lease: scs_control::LEASE,
        },
        scs_control::Ports {
            store: Arc::new(store),
            agents: vec![Arc::new(installation.local(agent_handle))],
            connect: None,
            authority: None,
            discovery: Arc::new(looking),
            bundles: Arc::new(installation.bundles()),
        },
    )
    .await
    .map_err(|error| {
        Failure::failed("cannot start").because(&error).hint("containers keep running; nothing was changed")
    })?;
    let listener = listen(&files.socket())?;

    // Ended one after the other, from the API down to what the agent still has to say to discovery.
    let stops: [CancellationToken; 5] = std::array::from_fn(|_| CancellationToken::new());
    let [stop_api, stop_control, stop_agent, stop_discovery, stop_registry] = stops.clone();
    let services = handle.services();
    let active = handle.activity();
    let (broke, mut broken) = mpsc::channel(1);
    let parts: [(&str, JoinHandle<()>); 5] = [
        part("API", serve(listener, handle.clone(), stop_api), &broke),
        part("control plane", control.run(stop_control), &broke),
        part("agent", agent.run(stop_agent), &broke),
        part("discovery", discovery.run(stop_discovery), &broke),
        part("registry", registry.run(stop_registry), &broke),
    ];
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %files.socket().display(),
        disco = %address,
        owner = installation.owner,
        "scs dev is ready"
    );
    super::notify::ready();

    let mut defect = None;
    tokio::select! {
        name = broken.recv() => defect = name,
        () = crate::commands::interrupted() => tracing::info!("told to end; containers keep running"),
        () = handle.shutdown_requested() => tracing::info!("asked to end; containers keep running"),
        () = idle(services.clone(), active, &files) , if until_idle => {
            tracing::info!("nothing is to run any more");
            forget_registry(&files, &guests, &ourselves).await;
        }
        () = mark(services.clone(), &files), if !until_idle => {}
    }
    let _ = std::fs::remove_file(files.socket());
    super::notify::stopping();
    for (stop, (name, part)) in stops.iter().zip(parts) {
        stop.cancel();
        if tokio::time::timeout(PARTING, part).await.is_err() {
            tracing::warn!("{name} did not end in time and is left behind");
        }
    }
    match defect {
        None => Ok(Exit::DONE),
        Some(name) => Err(Failure::failed(format!("the {name} ended by a defect, see above"))
            .hint("containers keep running; whatever starts it again finds them")),
    }
}

/// Runs a part of this process in a task. One that panics is told of: a process that has lost a part only pretends to work.
fn part(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
    broke: &mpsc::Sender<&'static str>,
) -> (&'static str, JoinHandle<()>) {
    let broke = broke.clone();
    let watched = async move {
        if tokio::spawn(work).await.is_err() {
            let _ = broke.try_send(name);
        }
    };
    (name, tokio::spawn(watched))
}

/// A file or directory of ours that cannot be used.
pub fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot use {}", path.display()))
        .because(error)
        .hint("see who owns it and whether the disk is full, or set SCS_STATE_DIR to a directory of yours")
}

/// The registry, where it was before if that can be: its clients of then come back to the same address, and nothing of theirs is
/// dropped until they have had time to. Where there were none, what it knows is all there is from the first moment on.
async fn bind_registry(files: &Files) -> Result<disco_server::Service, Failure> {
    let secret = secret(&files.state)?;
    let remembered = files.registry();
    let before = std::fs::read_to_string(&remembered).ok();
    let port = before.as_deref().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let snapshot = files.state.join("disco.registry");
    if before.is_none() {
        // Left by a run that was killed while it forgot where it was: nobody comes back to that.
        let _ = std::fs::remove_file(&snapshot);
    }
    let options = |port| {
        let defaults = disco_server::Options::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let hold = if before.is_some() { defaults.hold } else { Duration::ZERO };
        disco_server::Options { secret: Some(secret), snapshot: Some(snapshot.clone()), hold, ..defaults }
    };
    let bound = match disco_server::Service::bind(options(port)).await {
        Err(error) if port != 0 => {
            tracing::warn!(%error, "discovery takes another port");
            disco_server::Service::bind(options(0)).await
        }
        bound => bound,
    };
    let bound = bound.map_err(|error| {
        Failure::unavailable("discovery cannot listen").because(&error).hint("is the loopback interface up?")
    })?;
    std::fs::write(&remembered, format!("{}\n", bound.local_addr().port()))
        .map_err(|error| unusable(&remembered, &error))?;
    Ok(bound)
}

/// Forgets where the registry was if nobody is left who could come back to it: a `scs run` beside us may be.
async fn forget_registry(files: &Files, registry: &disco_server::Handle, ourselves: &str) {
    let Ok(view) = registry.snapshot().await else { return };
    if view.sessions.iter().all(|session| session.agent == ourselves) {
        let _ = std::fs::remove_file(files.registry());
    }
}

/// The secret of a registry's session tokens; made once and kept.
///
/// # Errors
/// Where it cannot be read or written.
pub fn secret(state: &Path) -> Result<[u8; 32], Failure> {
    let secret = installation::once(&state.join("disco.secret"), || {
        let mut bytes = [0; 32];
        installation::random(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    })?;
    Ok(key(&secret))
}

/// 32 bytes of the hexadecimal digits that we wrote. A file of another content gives a worse secret, never a failed start; it lies in a
/// directory that nobody else can write to.
fn key(text: &str) -> [u8; 32] {
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    }
    key
}

/// The socket, for its owner alone. Whoever was there before is gone: we hold the lock.
///
/// # Errors
/// Where it cannot be bound.
pub fn listen(path: &Path) -> Result<UnixListener, Failure> {
    let _ = std::fs::remove_file(path);
    let bind = || {
        let short = socket::Short::new(path)?;
        let listener = UnixListener::bind(short.path())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|error| unusable(path, &error))
}

/// Done once nothing has been wanted, and nobody has asked anything, for a while.
async fn idle(mut services: watch::Receiver<Vec<String>>, mut active: watch::Receiver<usize>, files: &Files) {
    loop {
        let nothing = services.borrow_and_update().is_empty() && *active.borrow_and_update() == 0;
        marked(files, services.borrow().is_empty());
        let pause = async {
            if nothing {
                tokio::time::sleep(IDLE).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = pause => return,
            changed = services.changed() => if changed.is_err() { return },
            changed = active.changed() => if changed.is_err() { return },
        }
    }
}

/// Keeps the mark of whether anything is to run; never done.
async fn mark(mut services: watch::Receiver<Vec<String>>, files: &Files) {
    loop {
        marked(files, services.borrow_and_update().is_empty());
        if services.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn marked(files: &Files, idle: bool) {
    let done = if idle { std::fs::write(files.idle(), "") } else { std::fs::remove_file(files.idle()) };
    if let Err(error) = done
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %files.idle().display(), "cannot keep the mark of whether anything is to run");
    }
}

async fn serve(listener: UnixListener, handle: scs_control::Handle, stop: CancellationToken) {
    if let Err(error) = scs_control::api::serve(listener, handle, stop).await {
        tracing::error!(%error, "the API ended");
    }
}
