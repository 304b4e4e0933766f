//! A network provisioner in memory.

use super::lock;
use crate::engine::Port;
use crate::network::{Attachment, Error, NetworkProvisioner, NetworkRequest};
use async_trait::async_trait;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

/// A network provisioner in memory: attaches everything to one bridge called `scs`.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    model: Arc<Mutex<Model>>,
}

#[derive(Debug, Default)]
struct Model {
    announce: Option<IpAddr>,
    attached: BTreeSet<String>,
    failures: VecDeque<Error>,
    calls: Vec<(&'static str, String)>,
}

impl Networks {
    /// Announces the gateway 198.18.0.1, which is that of the fake engine's first bridge.
    #[must_use]
    pub fn new() -> Self {
        Networks::default()
    }

    /// Announces and binds this address from now on.
    pub fn set_announce(&self, address: IpAddr) {
        lock(&self.model).announce = Some(address);
    }

    /// Makes the next call of any method fail, once; several queue up.
    pub fn fail_next(&self, error: Error) {
        lock(&self.model).failures.push_back(error);
    }

    /// The instances that are attached, sorted.
    #[must_use]
    pub fn attached(&self) -> Vec<String> {
        lock(&self.model).attached.iter().cloned().collect()
    }

    /// Every call so far: the method's name and the instance.
    #[must_use]
    pub fn calls(&self) -> Vec<(&'static str, String)> {
        lock(&self.model).calls.clone()
    }
}

impl Model {
    fn enter(&mut self, method: &'static str, instance: &str) -> Result<(), Error> {
        self.calls.push((method, instance.to_owned()));
        self.failures.pop_front().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl NetworkProvisioner for Networks {
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, Error> {
        let mut model = lock(&self.model);
        model.enter("ensure", &request.instance)?;
        model.attached.insert(request.instance.clone());
        let announce = model.announce.unwrap_or(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)));
        let ports = request.ports.iter().map(|port| Port {
            container_port: port.container_port,
            protocol: port.protocol,
            host_address: port.publish_address.unwrap_or(announce),
            host_port: port.publish_port.unwrap_or(0),
        });
        Ok(Attachment { network: "scs".to_owned(), ports: ports.collect(), announce, announce_v6: None })
    }

    async fn release(&self, instance: &str) -> Result<(), Error> {
        let mut model = lock(&self.model);
        model.enter("release", instance)?;
        model.attached.remove(instance);
        Ok(())
    }
}
