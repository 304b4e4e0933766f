//! `bridge`: ports published on the host, from a bridge network that all of scs on an engine shares.

use super::option_error;
use crate::Host;
use crate::options::Reader;
use async_trait::async_trait;
use scs_ports::engine::{self, BridgeNetwork, Create, Engine, Gateways, Labels, Port};
use scs_ports::network::{Attachment, Error, NetworkProvisioner, NetworkRequest, ProvidedPort};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The kernel takes a second to find out whether an IPv6 address is taken; a busy machine some more.
const WAKING: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Containers on a bridge, reached through ports of the host.
#[derive(Debug)]
pub struct Bridge {
    engine: Arc<dyn Engine>,
    name: String,
    advertise: Option<IpAddr>,
    /// One at a time wakes the bridge.
    turn: Mutex<()>,
}

impl Bridge {
    /// The bridge of this host's engine.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        Bridge {
            engine: host.engine.clone(),
            name: host.bridge.clone(),
            advertise: host.advertise,
            turn: Mutex::new(()),
        }
    }
}

#[async_trait]
impl NetworkProvisioner for Bridge {
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, Error> {
        let mut reader = Reader::new(&request.options);
        let ipv6 = reader.truth("ipv6").map_err(option_error)?;
        reader.finish().map_err(option_error)?;
        // The engine cannot give IPv6 to a bridge that is there, and the one without it may be in use: so these are two.
        let name = if ipv6 { format!("{}-ipv6", self.name) } else { self.name.clone() };
        let gateways = gateways(&*self.engine, &name, ipv6).await?;
        if let Some(gateway) = gateways.v6.filter(|_| ipv6) {
            let _turn = self.turn.lock().await;
            wake(&*self.engine, &name, gateway)
                .await
                .map_err(|error| Error::Failed { action: format!("use the bridge `{name}`"), source: error.into() })?;
        }
        attach(&name, &gateways, self.advertise, ipv6, &request.ports)
    }

    async fn release(&self, _instance: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// The bridge's own addresses on the host; the bridge is made if it is not there.
pub(super) async fn gateways(engine: &dyn Engine, name: &str, ipv6: bool) -> Result<Gateways, Error> {
    // It is shared by all installations on the engine, so it carries nobody's labels.
    let labels = Labels::from([("scs.network".to_owned(), "shared".to_owned())]);
    let network = BridgeNetwork { name: name.to_owned(), labels, ipv6 };
    let made = engine.ensure_network(&network).await;
    made.map_err(|error| Error::Failed { action: format!("make the bridge `{name}`"), source: error.into() })
}

/// Until a bridge has carried its first container, the kernel has not made sure that nobody else has its IPv6 address, and no
/// port can be bound on it: the engine would not start that first container. So one without ports goes before.
async fn wake(engine: &dyn Engine, bridge: &str, gateway: IpAddr) -> Result<(), engine::Error> {
    let asleep = || TcpListener::bind((gateway, 0)).is_err();
    if !asleep() {
        return Ok(());
    }
    let create = Create {
        name: format!("scs-helper-{bridge}-{}", std::process::id()),
        image: scs_helper::helper_image(engine).await?,
        labels: Labels::from([(scs_helper::LABEL.to_owned(), scs_helper::hash().to_owned())]),
        command: Some([scs_helper::PATH_IN_IMAGE, "play", "sleep=60s"].map(str::to_owned).to_vec()),
        network: bridge.to_owned(),
        ..Create::default()
    };
    engine.remove(&create.name).await?;
    let id = engine.create(&create).await?;
    let started = engine.start(&id).await;
    // An engine elsewhere never shows its addresses here; then the time has to do.
    let until = tokio::time::Instant::now() + WAKING;
    while started.is_ok() && asleep() && tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    engine.remove(&id).await?;
    started
}

/// Pure: what is bound and announced.
fn attach(
    bridge: &str,
    gateways: &Gateways,
    advertise: Option<IpAddr>,
    ipv6: bool,
    ports: &[ProvidedPort],
) -> Result<Attachment, Error> {
    let no_address = || Error::Failed {
        action: format!("use the bridge `{bridge}`"),
        source: "the engine tells no address of the host on it".into(),
    };
    let gateway = gateways.v4.or(gateways.v6.filter(|_| ipv6)).ok_or_else(no_address)?;
    let gateway_v6 = gateways.v6.filter(|_| ipv6);
    let mut own = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), gateway];
    if let Some(gateway) = gateway_v6 {
        own.extend([IpAddr::V6(Ipv6Addr::LOCALHOST), gateway]);
    }
    own.extend(advertise);
    let mut bound = Vec::new();
    for port in ports {
        let mut addresses = own.clone();
        addresses.extend(port.publish_address);
        bound.extend(narrowed(addresses).into_iter().map(|host_address| Port {
            container_port: port.container_port,
            protocol: port.protocol,
            host_address,
            host_port: port.publish_port.unwrap_or(0),
        }));
    }
    Ok(Attachment {
        network: bridge.to_owned(),
        ports: bound,
        announce: advertise.unwrap_or(gateway),
        announce_v6: gateway_v6.filter(|it| advertise.is_none() && *it != gateway),
    })
}

/// Without those that another one covers: binding all addresses of a family clashes with binding one of them.
fn narrowed(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let all = |v4: bool| addresses.iter().any(|it| it.is_unspecified() && it.is_ipv4() == v4);
    let (all_v4, all_v6) = (all(true), all(false));
    let mut narrowed: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let covered = if address.is_ipv4() { all_v4 } else { all_v6 } && !address.is_unspecified();
        if !covered && !narrowed.contains(&address) {
            narrowed.push(address);
        }
    }
    narrowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use scs_manifest::compiled::Protocol;

    const GATEWAY: &str = "198.18.0.1";

    fn check(ipv6: bool, advertise: Option<&str>, publish: Option<&str>, bound: &[&str], announced: &[&str]) {
        let address = |it: &str| it.parse::<IpAddr>().unwrap();
        let gateways = Gateways { v4: Some(address(GATEWAY)), v6: ipv6.then(|| address("fd00::1")) };
        let port = ProvidedPort {
            container_port: 80,
            protocol: Protocol::Tcp,
            publish_port: Some(8080),
            publish_address: publish.map(address),
        };
        let made = attach("scs", &gateways, advertise.map(address), ipv6, &[port]).unwrap();
        assert_eq!(made.ports.iter().map(|it| it.host_address.to_string()).collect::<Vec<_>>(), bound);
        assert!(made.ports.iter().all(|it| it.host_port == 8080 && it.container_port == 80));
        let all = [Some(made.announce), made.announce_v6].into_iter().flatten();
        assert_eq!(all.map(|it| it.to_string()).collect::<Vec<_>>(), announced);
    }

    #[test]
    fn loopback_and_gateway_are_bound_and_the_gateway_is_announced() {
        check(false, None, None, &["127.0.0.1", GATEWAY], &[GATEWAY]);
    }

    #[test]
    fn a_publish_address_widens() {
        check(false, None, Some("192.0.2.7"), &["127.0.0.1", GATEWAY, "192.0.2.7"], &[GATEWAY]);
        check(false, None, Some("127.0.0.1"), &["127.0.0.1", GATEWAY], &[GATEWAY]);
    }

    #[test]
    fn all_addresses_of_a_family_stand_for_each_of_them() {
        check(false, None, Some("0.0.0.0"), &["0.0.0.0"], &[GATEWAY]);
        check(true, None, Some("0.0.0.0"), &["::1", "fd00::1", "0.0.0.0"], &[GATEWAY, "fd00::1"]);
        check(true, None, Some("::"), &["127.0.0.1", GATEWAY, "::"], &[GATEWAY, "fd00::1"]);
    }

    #[test]
    fn an_advertised_address_is_bound_and_announced() {
        check(false, Some("192.0.2.9"), None, &["127.0.0.1", GATEWAY, "192.0.2.9"], &["192.0.2.9"]);
    }

    #[test]
    fn ipv6_is_bound_and_announced_beside_ipv4() {
        check(true, None, None, &["127.0.0.1", GATEWAY, "::1", "fd00::1"], &[GATEWAY, "fd00::1"]);
    }
}
