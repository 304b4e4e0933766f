//! Hosts that have joined: each a model world of its own, connected to by name.

use super::{Memory, Plane, Registry, World, chain, options};
use scs_control::agents::{Agent, Connect, HostAddress};
use scs_control::trust::{Certifier, OwnAuthority};
use scs_control::{Ports, Service};
use scs_pki::{Authority, Files, Fingerprint, Identity, Kind, Live, Order};
use scs_ports::fake;
use scs_ports::state::{StateStore, Transaction};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The worlds of a cluster, and whom the control plane has connected to.
#[derive(Debug, Default)]
pub struct Cluster {
    worlds: Mutex<BTreeMap<String, Arc<World>>>,
    pub connected: Mutex<Vec<HostAddress>>,
    pub store: Arc<fake::State>,
}

impl Connect for Cluster {
    fn connect(&self, host: &HostAddress) -> Arc<dyn Agent> {
        self.connected.lock().expect("whole").push(host.clone());
        self.world(&host.name)
    }
}

impl Cluster {
    pub fn world(&self, name: &str) -> Arc<World> {
        let mut worlds = self.worlds.lock().expect("whole");
        worlds.entry(name.to_owned()).or_insert_with(|| World::named(name)).clone()
    }

    /// Writes down a host as if it had joined, before the control plane starts.
    pub async fn put(&self, name: &str, labels: &[(&str, &str)]) {
        let record = serde_json::json!({
            "name": name,
            "address": format!("{name}.example:9642"),
            "labels": labels.iter().copied().collect::<BTreeMap<_, _>>(),
            "joined": SystemTime::UNIX_EPOCH,
        });
        let put = vec![(format!("host/{name}"), record.to_string().into())];
        self.store.commit(&Transaction { put, ..Transaction::default() }).await.expect("written");
    }

    pub async fn start(self: &Arc<Self>, directory: &Path) -> Plane {
        self.start_with(directory, None).await
    }

    pub async fn start_with(self: &Arc<Self>, directory: &Path, authority: Option<Arc<dyn Certifier>>) -> Plane {
        self.start_on(self.store.clone(), directory, authority).await
    }

    /// With its desired state kept by something that has this cluster's store below it.
    pub async fn start_on(
        self: &Arc<Self>,
        store: Arc<dyn StateStore>,
        directory: &Path,
        authority: Option<Arc<dyn Certifier>>,
    ) -> Plane {
        let ports = Ports {
            store,
            agents: Vec::new(),
            connect: Some(self.clone()),
            authority,
            discovery: Arc::new(Registry),
            bundles: Arc::new(Memory::default()),
        };
        let opened = Service::open(options(directory), ports).await.map_err(|error| chain(&error)).expect("opens");
        Plane::run(opened, &self.world("h1"))
    }
}

/// A real authority, and a server's certificate of it.
#[derive(Debug)]
pub struct Trust {
    pub fingerprint: Fingerprint,
    pub live: Arc<Live>,
    directory: PathBuf,
}

impl Trust {
    pub fn new(directory: &Path) -> Self {
        let now = SystemTime::now();
        let place = directory.join("ca");
        let authority = Authority::create(&place, "test", now).expect("an authority");
        let identity = Identity::new(Kind::Server, "server").expect("a name");
        let order = Order { identity, addresses: vec!["localhost".to_owned()], valid: Duration::from_secs(3600) };
        let issued = authority.issue(&order, now).expect("issued");
        let files: Files = issued.write(&directory.join("server")).expect("written");
        let live = Arc::new(Live::open(files, None).expect("usable"));
        Self { fingerprint: authority.fingerprint().expect("known"), live, directory: place }
    }

    pub fn certifier(&self) -> Arc<dyn Certifier> {
        Arc::new(OwnAuthority::new(self.directory.clone()))
    }
}
