//! Docker itself: the conformance suite of the engine port, and what is Docker's own.
#![allow(clippy::unwrap_used)]

mod build;
mod commit;
mod connect;
mod own;

use bytes::Bytes;
use scs_ports::conformance::engine::World;
use scs_testkit::TestEngine;

mod conformance {
    use super::*;

    async fn setup() -> (World, TestEngine) {
        let engine = TestEngine::new("scs-engine").await;
        let world = World {
            engine: engine.port(),
            image: scs_helper::helper_image(engine.docker()).await.unwrap(),
            program: scs_helper::PATH_IN_IMAGE.to_owned(),
            name: engine.name().to_owned(),
            labels: engine.labels(),
            rootfs: Bytes::from(scs_helper::root_file_system().unwrap()),
        };
        (world, engine)
    }

    scs_ports::engine_conformance!(setup);
}
