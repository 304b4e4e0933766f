//! The methods over a real engine and a real disk: the conformance suites, and what each method adds.
#![allow(clippy::unwrap_used)]

mod networks;
mod volumes;

use scs_ports::conformance::volume::Setup;
use scs_ports::engine::MountSource;
use scs_ports::network::NetworkProvisioner;
use scs_ports::volume::VolumeProvisioner;
use scs_provision::Host;
use scs_testkit::{StateDir, TestEngine};
use serde_json::Map;
use std::sync::Arc;

/// A host with a state directory of its own, and the machine's engine.
struct World {
    host: Host,
    engine: TestEngine,
    state: StateDir,
}

impl World {
    async fn new() -> Self {
        let (engine, state) = (TestEngine::new("scs-provision").await, StateDir::new());
        let host =
            Host { engine: engine.port(), state: state.join("state"), bridge: engine.named("bridge"), advertise: None };
        World { host, engine, state }
    }

    fn volumes(&self, method: &str) -> Arc<dyn VolumeProvisioner> {
        scs_provision::volumes(&self.host).get(method).unwrap()
    }

    fn networks(&self, method: &str) -> Arc<dyn NetworkProvisioner> {
        scs_provision::networks(&self.host).get(method).unwrap()
    }

    fn setup(&self) -> Setup {
        Setup { environment: self.engine.name().to_owned(), options: Map::new(), parent: None }
    }
}

mod local {
    use super::*;

    async fn setup() -> (Arc<dyn VolumeProvisioner>, Setup, World) {
        let world = World::new().await;
        (world.volumes("local"), world.setup(), world)
    }

    scs_ports::volume_conformance!(setup);
}

mod sub {
    use super::*;

    async fn setup() -> (Arc<dyn VolumeProvisioner>, Setup, World) {
        let world = World::new().await;
        let parent = world.state.join("parent");
        std::fs::create_dir(&parent).unwrap();
        let setup = Setup { parent: Some(MountSource::Host(parent)), ..world.setup() };
        (world.volumes("sub"), setup, world)
    }

    scs_ports::volume_conformance!(setup);
}

mod docker {
    use super::*;

    async fn setup() -> (Arc<dyn VolumeProvisioner>, Setup, World) {
        let mut world = World::new().await;
        // The suite's volumes carry the method's own labels.
        for name in ["data", "logs", "1/data"] {
            let id = format!("{}/blog/web/{name}", world.engine.name());
            world.engine.also_clean("scs.volume", &id);
        }
        (world.volumes("docker"), world.setup(), world)
    }

    scs_ports::volume_conformance!(setup);
}

mod bridge {
    use super::*;

    async fn setup() -> (Arc<dyn NetworkProvisioner>, networks::Bridge) {
        let world = World::new().await;
        (world.networks("bridge"), networks::Bridge(world))
    }

    scs_ports::network_conformance!(setup);
}

mod host {
    use super::*;

    async fn setup() -> (Arc<dyn NetworkProvisioner>, networks::Bridge) {
        let world = World::new().await;
        (world.networks("host"), networks::Bridge(world))
    }

    scs_ports::network_conformance!(setup);
}
