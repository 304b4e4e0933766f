//! `host`: the container shares the host's network.

use super::bridge::gateways;
use super::option_error;
use crate::Host;
use crate::options::Reader;
use async_trait::async_trait;
use scs_ports::engine::Engine;
use scs_ports::network::{Attachment, Error, NetworkProvisioner, NetworkRequest, ProvidedPort};
use std::net::IpAddr;
use std::sync::Arc;

/// Containers without a network of their own; what they listen on is open to whoever reaches the host.
#[derive(Debug)]
pub struct HostNetwork {
    engine: Arc<dyn Engine>,
    bridge: String,
    advertise: Option<IpAddr>,
}

impl HostNetwork {
    /// The network of this host.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        HostNetwork { engine: host.engine.clone(), bridge: host.bridge.clone(), advertise: host.advertise }
    }
}

#[async_trait]
impl NetworkProvisioner for HostNetwork {
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, Error> {
        Reader::new(&request.options).finish().map_err(option_error)?;
        request.ports.iter().try_for_each(check)?;
        // The gateway is the one address of the host that both the machine and the containers of its bridge reach.
        let announce = match self.advertise {
            Some(address) => address,
            None => gateways(&*self.engine, &self.bridge, false).await?.v4.ok_or_else(|| Error::Failed {
                action: format!("use the bridge `{}`", self.bridge),
                source: "the engine tells no address of the host on it".into(),
            })?,
        };
        Ok(Attachment { network: "host".to_owned(), ports: Vec::new(), announce, announce_v6: None })
    }

    async fn release(&self, _instance: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// Nothing is published in between that could give a port another number or address.
fn check(port: &ProvidedPort) -> Result<(), Error> {
    let wrong = |option: &str, message: String| Error::Option { option: option.to_owned(), message };
    match (port.publish_port, port.publish_address) {
        (Some(published), _) if published != port.container_port => {
            let message = format!("a container in the host's network listens on its own port {}", port.container_port);
            Err(wrong("publish.port", message))
        }
        (_, Some(_)) => {
            let message = "a container in the host's network chooses itself what it listens on".to_owned();
            Err(wrong("publish.address", message))
        }
        _ => Ok(()),
    }
}
