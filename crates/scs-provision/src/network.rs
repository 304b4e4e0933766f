//! Network methods.

mod bridge;
mod host;

pub use bridge::Bridge;
pub use host::HostNetwork;

use crate::options::Wrong;
use crate::{Host, Registry};
use scs_manifest::compiled::Protocol;
use scs_ports::engine::Port;
use scs_ports::network::{Attachment, Error, NetworkProvisioner};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The network methods of a host: `bridge`, `host`.
#[must_use]
pub fn networks(host: &Host) -> Registry<dyn NetworkProvisioner> {
    Registry::<dyn NetworkProvisioner>::new("network")
        .with("bridge", Arc::new(Bridge::new(host)))
        .with("host", Arc::new(HostNetwork::new(host)))
}

/// Where others reach a container's port, given the ports that the engine has bound: over IPv4 or what `announce` is, and
/// over IPv6 where the attachment announces that too. Empty while the port is not bound.
#[must_use]
pub fn announced(attachment: &Attachment, bound: &[Port], port: u16, protocol: Protocol) -> Vec<SocketAddr> {
    let addresses = [Some(attachment.announce), attachment.announce_v6];
    let reached = |address: IpAddr| {
        if attachment.network == "host" {
            return Some(SocketAddr::new(address, port));
        }
        let same = bound.iter().filter(|it| it.container_port == port && it.protocol == protocol);
        let fits = |it: &&Port| {
            let everywhere = it.host_address.is_unspecified() && it.host_address.is_ipv4() == address.is_ipv4();
            it.host_address == address || everywhere
        };
        same.clone().find(fits).map(|it| SocketAddr::new(address, it.host_port))
    };
    addresses.into_iter().flatten().filter_map(reached).collect()
}

fn option_error(wrong: Wrong) -> Error {
    Error::Option { option: wrong.option, message: wrong.message }
}
