//! The fakes, under the suites that the real ones pass.
#![allow(clippy::unwrap_used)]

mod script;

use bytes::Bytes;
use scs_ports::conformance::engine::World;
use scs_ports::engine::Labels;
use scs_ports::fake;
use std::sync::Arc;

mod engine {
    use super::*;

    async fn setup() -> (World, fake::Engine) {
        let engine = fake::Engine::new();
        engine.on_start(|request| script::behaviour(request.command.as_deref().unwrap_or_default()));
        engine.on_exec(|_, request| script::outcome(&request.command, &request.environment));
        engine.add_image("helper", &Labels::new());
        let world = World {
            engine: Arc::new(engine.clone()),
            image: "helper".to_owned(),
            program: "/helper".to_owned(),
            name: "test".to_owned(),
            labels: Labels::from([("test".to_owned(), "this".to_owned())]),
            rootfs: Bytes::from_static(b"a tar"),
        };
        (world, engine)
    }

    scs_ports::engine_conformance!(setup);
}

mod state {
    use super::*;

    async fn setup() -> (Arc<fake::State>, ()) {
        (Arc::new(fake::State::new()), ())
    }

    scs_ports::state_conformance!(setup);
}

mod volume {
    use super::*;
    use scs_ports::conformance::volume::Setup;
    use serde_json::Map;

    async fn setup() -> (Arc<fake::Volumes>, Setup, ()) {
        let setup = Setup { environment: "test".to_owned(), options: Map::new(), parent: None };
        (Arc::new(fake::Volumes::new()), setup, ())
    }

    // All but the one about options, of which the fake knows none.
    scs_ports::volume_conformance!(setup;
        a_volume_is_made_once,
        a_known_volume_that_is_missing_is_never_made_anew,
        an_epoch_that_has_passed_is_refused,
        the_highest_epoch_is_remembered,
        another_installation_is_kept_out,
        inspecting_changes_nothing,
        releasing_keeps_the_data,
        only_destroying_deletes,
        volumes_do_not_share_a_place,
    );
}

mod network {
    use super::*;

    async fn setup() -> (Arc<fake::Networks>, ()) {
        (Arc::new(fake::Networks::new()), ())
    }

    scs_ports::network_conformance!(setup;
        an_attachment_is_the_same_every_time,
        every_port_is_reached_under_the_announced_address,
        a_fixed_port_is_kept,
        releasing_is_idempotent_and_leaves_others_alone,
    );
}
