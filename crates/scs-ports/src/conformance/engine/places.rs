//! What containers are attached to: ports, networks, volumes.
#![expect(missing_docs, reason = "named by what they show")]

use super::{World, done};
use crate::engine::{BridgeNetwork, Error, Mount, MountSource, NamedVolume};
use std::collections::BTreeMap;

/// A network of the test's own.
fn network(world: &World) -> BridgeNetwork {
    BridgeNetwork { name: world.named("net"), labels: world.labels.clone(), ipv6: false }
}

pub async fn a_port_left_to_the_engine_is_told(world: &World) {
    let mut request = world.container("one", &["serve", "--port", "80"]);
    let network = network(world);
    done("network", world.engine.ensure_network(&network).await);
    request.network.clone_from(&network.name);
    request.ports = vec![World::tcp(0)];
    let id = world.run(&request).await;
    let running = done("look", world.engine.container(&id).await).expect("it is there");
    assert_eq!(running.ports.len(), 1, "{running:?}");
    let bound = &running.ports[0];
    assert!(bound.host_port > 0 && bound.container_port == 80, "{bound:?}");
    assert_eq!(bound.host_address, request.ports[0].host_address);
    assert_eq!(running.addresses.len(), 1, "{running:?}");
    world.remove(&id).await;
    done("removal", world.engine.remove_network(&network.name).await);
}

pub async fn a_port_that_is_taken_is_named(world: &World) {
    let network = network(world);
    done("network", world.engine.ensure_network(&network).await);
    let mut first = world.container("one", &["serve", "--port", "80"]);
    first.network.clone_from(&network.name);
    first.ports = vec![World::tcp(0)];
    let first_id = world.run(&first).await;
    let bound = done("look", world.engine.container(&first_id).await).expect("it is there").ports;
    let mut second = world.container("two", &["serve", "--port", "80"]);
    second.network.clone_from(&network.name);
    second.ports.clone_from(&bound);
    let second_id = world.create(&second).await;
    match world.engine.start(&second_id).await {
        Err(Error::PortTaken { port, .. }) => assert_eq!(port, bound[0].host_port),
        other => panic!("{other:?}"),
    }
    // Once the first is gone, the second one starts.
    world.remove(&first_id).await;
    done("start", world.engine.start(&second_id).await);
    world.remove(&second_id).await;
    done("removal", world.engine.remove_network(&network.name).await);
}

pub async fn a_network_is_made_once_and_has_a_gateway(world: &World) {
    let network = network(world);
    let first = done("network", world.engine.ensure_network(&network).await);
    assert!(first.v4.is_some(), "{first:?}");
    assert_eq!(done("network", world.engine.ensure_network(&network).await), first);
    for _ in 0..2 {
        done("removal", world.engine.remove_network(&network.name).await);
    }
}

pub async fn a_network_in_use_is_not_removed(world: &World) {
    let network = network(world);
    done("network", world.engine.ensure_network(&network).await);
    let mut request = world.container("one", &["play", "sleep=1h"]);
    request.network.clone_from(&network.name);
    let id = world.run(&request).await;
    let refused = world.engine.remove_network(&network.name).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    world.remove(&id).await;
    done("removal", world.engine.remove_network(&network.name).await);
}

pub async fn a_volume_is_made_once(world: &World) {
    let name = world.named("volume");
    assert_eq!(done("volume", world.engine.volume(&name).await), None);
    let wanted = NamedVolume {
        name: name.clone(),
        driver: String::new(),
        options: BTreeMap::new(),
        labels: world.labels.clone(),
    };
    let made = done("volume", world.engine.create_volume(&wanted).await);
    assert_eq!(made, NamedVolume { driver: "local".to_owned(), ..wanted.clone() });
    assert_eq!(done("volume", world.engine.create_volume(&wanted).await), made);
    assert_eq!(done("volume", world.engine.volume(&name).await), Some(made));
    for _ in 0..2 {
        done("removal", world.engine.remove_volume(&name).await);
    }
    assert_eq!(done("volume", world.engine.volume(&name).await), None);
}

pub async fn a_volume_in_use_is_not_removed(world: &World) {
    let name = world.named("volume");
    let wanted = NamedVolume { name: name.clone(), labels: world.labels.clone(), ..NamedVolume::default() };
    done("volume", world.engine.create_volume(&wanted).await);
    let mut request = world.container("one", &["play"]);
    request.mounts =
        vec![Mount { source: MountSource::Named(name.clone()), target: "/data".to_owned(), read_only: false }];
    let id = world.create(&request).await;
    let refused = world.engine.remove_volume(&name).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    world.remove(&id).await;
    assert!(done("volume", world.engine.volume(&name).await).is_some(), "it outlives its containers");
    done("removal", world.engine.remove_volume(&name).await);
}
