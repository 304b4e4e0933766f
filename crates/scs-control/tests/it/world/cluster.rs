//! Hosts that have joined: each a model world of its own, connected to by name.

use super::{Memory, Plane, Registry, World, chain};
use scs_control::agents::{Agent, Connect, HostAddress};
use scs_control::{Options, Ports, Service};
use scs_ports::fake;
use scs_ports::state::{StateStore, Transaction};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

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
            "joined": std::time::SystemTime::UNIX_EPOCH,
        });
        let put = vec![(format!("host/{name}"), record.to_string().into())];
        self.store.commit(&Transaction { put, ..Transaction::default() }).await.expect("written");
    }

    pub async fn start(self: &Arc<Self>, directory: &Path) -> Plane {
        let ports = Ports {
            store: self.store.clone(),
            agents: Vec::new(),
            connect: Some(self.clone()),
            discovery: Arc::new(Registry),
            bundles: Arc::new(Memory::default()),
        };
        let options = Options { state_directory: directory.to_owned(), version: "1.2.3".to_owned() };
        let opened = Service::open(options, ports).await.map_err(|error| chain(&error)).expect("opens");
        Plane::run(opened, &self.world("h1"))
    }
}
