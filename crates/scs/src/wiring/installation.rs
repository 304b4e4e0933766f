//! One installation on this machine, all its parts made and joined: engine, images, volumes, networks, agent.

use super::peers::Peers;
use super::{agent, bundles, images, volumes};
use crate::exit::Failure;
use crate::settings::Settings;
use scs_agent::ports::Discovery;
use scs_engine_docker::Docker;
use scs_image::cache::{Cache, DirectoryCache};
use scs_image::source::BundleStore;
use scs_ports::engine::Engine;
use scs_provision::Host;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The parts that touch this machine.
#[derive(Debug)]
pub struct Installation {
    /// Name of the machine.
    pub host: String,
    /// Id of this installation.
    pub owner: String,
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// Images and their sources.
    pub images: images::Service,
    /// Volumes.
    pub volumes: volumes::Volumes,
    provision: Host,
}

/// Where an installation is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Directory of what is its own: agent, volumes.
    pub state: PathBuf,
    /// Directory of what it shares with others of the same user: sources and images.
    pub shared: PathBuf,
    /// Name of the host.
    pub host: String,
    /// Address under which other hosts reach this one; without, it is reached from this machine alone.
    pub advertise: Option<IpAddr>,
    /// The other hosts of its cluster.
    pub peers: Option<Arc<Peers>>,
}

impl Place {
    /// On a machine by itself, where all lies in one directory.
    #[must_use]
    pub fn alone(settings: &Settings, state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            shared: settings.state.clone(),
            host: host_name(),
            advertise: None,
            peers: None,
        }
    }
}

impl Installation {
    /// The installation of this place.
    ///
    /// # Errors
    /// With exit code 69 where no engine answers.
    pub async fn open(settings: &Settings, place: Place) -> Result<Self, Failure> {
        let engine: Arc<dyn Engine> = Arc::new(engine().await?);
        let Place { state, shared, host, advertise, peers } = place;
        let owner = owner(&state)?;
        let bundles = BundleStore::new(shared.join("bundles"));
        let others = peers.iter().map(|peers| peers.clone() as Arc<dyn Cache>);
        let directories = settings.caches.iter().map(|path| Arc::new(DirectoryCache::new(path)) as Arc<dyn Cache>);
        let caches = others.chain(directories).collect();
        let images = scs_image::Images::new(engine.clone(), bundles.clone(), caches, shared.join("images"));
        let provision = Host { engine: engine.clone(), state, bridge: scs_provision::BRIDGE.to_owned(), advertise };
        let methods = scs_provision::volumes(&provision).into_map();
        Ok(Self {
            host,
            images: images::Service { images: Arc::new(images), bundles, peers },
            volumes: volumes::Volumes { engine: engine.clone(), methods, owner: owner.clone() },
            owner,
            engine,
            provision,
        })
    }

    /// The agent of this installation, not yet running; of this cluster, or of the first one that assigns. What it provides has these
    /// attributes.
    ///
    /// # Errors
    /// Where its state cannot be read or written.
    pub fn agent(
        &self,
        state: &Path,
        cluster: Option<String>,
        attributes: BTreeMap<String, String>,
        discovery: Arc<dyn Discovery>,
    ) -> Result<(scs_agent::Service, scs_agent::Handle), Failure> {
        let unwritable = |error: std::io::Error| {
            Failure::failed(format!("cannot use the state directory {}", state.display()))
                .because(&error)
                .hint("see who owns it and whether the disk is full")
        };
        let helper = scs_helper::install(&state.join("bin")).map_err(unwritable)?;
        let options = scs_agent::Options {
            host: self.host.clone(),
            owner: self.owner.clone(),
            cluster,
            state: state.join("agent"),
            attributes,
            helper: Some(helper),
            // This very program, also where another has taken its place meanwhile.
            watchdog: Some(vec!["/proc/self/exe".into(), "watchdog".into()]),
        };
        let ports = scs_agent::Ports {
            engine: self.engine.clone(),
            volumes: self.volumes.methods.clone(),
            networks: scs_provision::networks(&self.provision).into_map(),
            images: Arc::new(self.images.clone()),
            discovery,
        };
        scs_agent::Service::new(options, ports).map_err(unwritable)
    }

    /// The agent as the control plane asks it.
    #[must_use]
    pub fn local(&self, handle: scs_agent::Handle) -> agent::Local {
        let images = self.images.images.clone();
        // What a build left whose process was killed; nobody else would look before the next `scs prune`.
        tokio::spawn(async move {
            if let Err(error) = images.remove_stale_builds().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "what killed builds left stays for now");
            }
        });
        let peers = self.images.peers.as_ref();
        let peers = peers.map(|it| Arc::new(it.neighbours()) as Arc<dyn scs_control::agents::Peers>);
        let (engine, images, volumes) = (self.engine.clone(), self.images.clone(), self.volumes.clone());
        agent::Local::new(&self.host, handle, engine, images, volumes, peers)
    }

    /// The bundles as the control plane keeps them.
    #[must_use]
    pub fn bundles(&self) -> bundles::Store {
        bundles::Store(self.images.bundles.clone())
    }
}

/// The engine of this machine.
///
/// # Errors
/// With exit code 69 where none answers.
pub async fn engine() -> Result<Docker, Failure> {
    Docker::connect(None).await.map_err(|error| {
        let failure = Failure::unavailable(error.to_string());
        let failure = match std::error::Error::source(&error) {
            Some(cause) => failure.because(cause),
            None => failure,
        };
        failure.hint("is it running, and may you use it? `scs doctor` says more; DOCKER_HOST names another one")
    })
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "localhost".to_owned() } else { name.chars().take(63).collect() }
}

/// The id by which everything this installation makes is known; made once and kept.
fn owner(state: &Path) -> Result<String, Failure> {
    once(&state.join("owner"), || {
        let mut bytes = [0; 8];
        random(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    })
}

/// A value that is made once and kept in a file for its owner's eyes only.
///
/// # Errors
/// Where the file can be neither read nor written.
pub fn once(path: &Path, make: impl FnOnce() -> String) -> Result<String, Failure> {
    let unusable = |error: std::io::Error| {
        Failure::failed(format!("cannot use {}", path.display())).because(&error).hint("see who owns the directory")
    };
    match std::fs::read_to_string(path) {
        Ok(value) if !value.trim().is_empty() => return Ok(value.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error)),
    }
    let value = make();
    let temporary = path.with_extension("new");
    let write = || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{value}")?;
        drop(file);
        persist(&temporary, path)
    };
    write().map_err(unusable)?;
    Ok(value)
}

/// Puts a finished file in the place of another, for good: what is decided by its being there must survive a crash of the machine.
///
/// # Errors
/// What the file system says.
pub fn persist(finished: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::File::open(finished)?.sync_all()?;
    std::fs::rename(finished, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Fills with random bytes.
pub fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the kernel gives random bytes");
}
