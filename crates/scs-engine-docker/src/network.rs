//! Bridge networks.

use crate::Docker;
use crate::call::{Subject, optional};
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use scs_ports::engine::{BridgeNetwork, Error, Gateways};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// How often, and how many times, a network is looked for that somebody else may be making: making one takes some 0.3 s.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const LOOKS: u32 = 20;

impl Docker {
    pub(crate) async fn ensure_bridge(&self, request: &BridgeNetwork) -> Result<Gateways, Error> {
        let subject = Subject::new("make", "network", &request.name);
        let found = match self.find_network(&request.name).await? {
            Some(found) => found,
            None => match self.order(&subject, self.client.create_network(create(request))).await {
                Ok(made) => {
                    let call = self.client.inspect_network(&made.id, None);
                    self.query(&Subject::new("inspect", "network", &request.name), call).await?
                }
                Err(error) => self.made_meanwhile(&request.name).await?.ok_or(error)?,
            },
        };
        if found.driver.as_deref() != Some("bridge") {
            let message = format!("it is a `{}` network already", found.driver.unwrap_or_default());
            return Err(Error::Refused { action: subject.action, message });
        }
        let gateways = gateways(found);
        if request.ipv6 && gateways.v6.is_none() {
            let message = "it is there without IPv6: remove it (`docker network rm`), it is made anew with it";
            return Err(Error::Refused { action: subject.action, message: message.to_owned() });
        }
        Ok(gateways)
    }

    pub(crate) async fn drop_network(&self, name: &str) -> Result<(), Error> {
        let call = self.client.remove_network(name);
        optional(self.order(&Subject::new("remove", "network", name), call).await).map(|_| ())
    }

    async fn find_network(&self, name: &str) -> Result<Option<NetworkInspect>, Error> {
        let call = self.client.inspect_network(name, None);
        let found = optional(self.query(&Subject::new("inspect", "network", name), call).await)?;
        // The engine also takes the beginning of an id.
        Ok(found.filter(|it| it.name.as_deref() == Some(name)))
    }

    /// Two that make it at once clash over its bridge, before the first one's network is to be seen.
    async fn made_meanwhile(&self, name: &str) -> Result<Option<NetworkInspect>, Error> {
        for _ in 0..LOOKS {
            if let Some(found) = self.find_network(name).await? {
                return Ok(Some(found));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(None)
    }
}

fn create(request: &BridgeNetwork) -> NetworkCreateRequest {
    let ipam = request.ipv6.then(|| Ipam {
        // Engines before 27 need to be told a range; they pick that of IPv4 themselves.
        config: Some(vec![IpamConfig { subnet: Some(local_range(&request.name)), ..Default::default() }]),
        ..Default::default()
    });
    NetworkCreateRequest {
        name: request.name.clone(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(request.ipv6),
        ipam,
        // The engine lets several callers make networks of one name at the same time, but never two on one bridge.
        options: Some(HashMap::from([("com.docker.network.bridge.name".to_owned(), bridge(&request.name))])),
        labels: Some(request.labels.clone().into_iter().collect()),
        ..Default::default()
    }
}

/// The interface of a network's bridge: always the same one, hardly ever another's. The kernel takes 15 characters.
fn bridge(name: &str) -> String {
    let plain = format!("br-{name}");
    if plain.len() <= 15 { plain } else { format!("br-{:012x}", hash(name) >> 16) }
}

/// A /64 of the unique local addresses (RFC 4193) for a network's name: always the same one, hardly ever another's.
fn local_range(name: &str) -> String {
    let [a, b, c, d, e, f, g, _] = hash(name).to_be_bytes();
    format!("fd{a:02x}:{b:02x}{c:02x}:{d:02x}{e:02x}:{f:02x}{g:02x}::/64")
}

/// FNV-1a, with its published offset and prime.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, it| (hash ^ u64::from(it)).wrapping_mul(0x100_0000_01b3))
}

fn gateways(network: NetworkInspect) -> Gateways {
    let configs = network.ipam.and_then(|it| it.config).unwrap_or_default();
    let subnets: Vec<_> = configs.iter().filter_map(|it| it.subnet.as_deref()).collect();
    let mut found: Vec<IpAddr> =
        configs.iter().filter_map(|it| it.gateway.as_deref()?.split('/').next()?.parse().ok()).collect();
    // Docker 20.10 names no gateway of an IPv6 range it was told, and takes its first address.
    if !found.iter().any(IpAddr::is_ipv6) {
        let first = subnets.iter().find_map(|it| it.split_once("::/").map(|(prefix, _)| format!("{prefix}::1")));
        found.extend(first.and_then(|it| it.parse::<IpAddr>().ok()));
    }
    Gateways { v4: found.iter().find(|it| it.is_ipv4()).copied(), v6: found.iter().find(|it| it.is_ipv6()).copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_name_is_a_local_one_and_always_the_same() {
        assert_eq!(local_range("scs"), local_range("scs"));
        assert_ne!(local_range("scs"), local_range("scs-test"));
        assert!(local_range("scs").starts_with("fd"));
        let address: IpAddr = local_range("scs").trim_end_matches("/64").parse().unwrap();
        assert!(address.is_ipv6());
    }

    #[test]
    fn a_bridge_is_called_like_its_network_as_far_as_the_kernel_allows() {
        assert_eq!(bridge("scs-ipv6"), "br-scs-ipv6");
        assert_eq!(bridge("a-network-of-a-long-name").len(), 15);
        assert_ne!(bridge("a-network-of-a-long-name"), bridge("a-network-of-a-longer-name"));
    }

    #[test]
    fn an_ipv6_range_without_a_gateway_has_its_first_address() {
        let config = |subnet: &str, gateway: Option<&str>| IpamConfig {
            subnet: Some(subnet.to_owned()),
            gateway: gateway.map(str::to_owned),
            ..Default::default()
        };
        let configs = vec![config("198.18.0.0/16", Some("198.18.0.1")), config("fd00:1::/64", None)];
        let ipam = Ipam { config: Some(configs), ..Default::default() };
        let found = gateways(NetworkInspect { ipam: Some(ipam), ..Default::default() });
        assert_eq!(found.v4, Some("198.18.0.1".parse().unwrap()));
        assert_eq!(found.v6, Some("fd00:1::1".parse().unwrap()));
    }
}
