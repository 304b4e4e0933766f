//! What the suite of the network port does not show.

use super::World;
use scs_manifest::compiled::Protocol;
use scs_ports::engine::Labels;
use scs_ports::network::{Error, NetworkRequest, ProvidedPort};
use scs_provision::network::announced;
use scs_testkit::wait_for;
use serde_json::Map;
use std::process::Command;
use std::time::Duration;

/// A world whose bridge goes away with it: being shared by all, it carries no label of the test.
pub struct Bridge(pub World);

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["network", "rm", &self.0.host.bridge]).output();
    }
}

fn request(port: ProvidedPort) -> NetworkRequest {
    NetworkRequest { instance: "one".to_owned(), ports: vec![port], options: Map::new(), labels: Labels::new() }
}

const PORT: ProvidedPort =
    ProvidedPort { container_port: 80, protocol: Protocol::Tcp, publish_port: None, publish_address: None };

#[tokio::test]
async fn a_container_is_reached_under_what_is_announced() {
    let bridge = Bridge(World::new().await);
    let attachment = bridge.0.networks("bridge").ensure(&request(PORT)).await.unwrap();
    let engine = bridge.0.host.engine.clone();
    let mut create = bridge.0.engine.container("one", &["serve", "--port", "80"]).await;
    create.network.clone_from(&attachment.network);
    create.ports.clone_from(&attachment.ports);
    let id = engine.create(&create).await.unwrap();
    engine.start(&id).await.unwrap();
    let bound = engine.container(&id).await.unwrap().unwrap().ports;
    let addresses = announced(&attachment, &bound, 80, Protocol::Tcp);
    assert_eq!(addresses.len(), 1, "{bound:?}");
    assert_eq!(announced(&attachment, &bound, 81, Protocol::Tcp), []);
    wait_for("a connection", Duration::from_secs(20), async || {
        tokio::net::TcpStream::connect(addresses[0]).await.map_err(|it| it.to_string())
    })
    .await;
    engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn in_the_hosts_network_the_containers_port_is_announced() {
    let bridge = Bridge(World::new().await);
    let attachment = bridge.0.networks("host").ensure(&request(PORT)).await.unwrap();
    let addresses = announced(&attachment, &[], 80, Protocol::Tcp);
    assert_eq!(addresses, [std::net::SocketAddr::new(attachment.announce, 80)]);
}

#[tokio::test]
async fn the_hosts_network_gives_a_port_no_other_number() {
    let bridge = Bridge(World::new().await);
    let refused = bridge.0.networks("host").ensure(&request(ProvidedPort { publish_port: Some(8080), ..PORT })).await;
    assert!(matches!(&refused, Err(Error::Option { option, .. }) if option == "publish.port"), "{refused:?}");
}

#[tokio::test]
async fn a_method_nobody_knows_is_told_with_those_that_are_known() {
    let world = World::new().await;
    let error = scs_provision::networks(&world.host).get("macvlan").unwrap_err();
    assert_eq!(error.to_string(), "this host has no network method `macvlan`; it has `bridge`, `host`");
    let error = scs_provision::volumes(&world.host).get("nfs").unwrap_err();
    assert_eq!(error.to_string(), "this host has no volume method `nfs`; it has `bind`, `docker`, `local`, `sub`");
}
