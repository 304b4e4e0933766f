//! What `scs init` writes is valid as it is.

use crate::support::World;
use scs_manifest::init;

fn world(service: &str) -> World {
    let files = init::files(service);
    let [deployment, image, script] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(script.name, "images/hello/configure.sh");
    World::new(&deployment.text).image("images/hello", &image.text)
}

#[test]
fn the_starter_compiles_without_a_finding() {
    let world = world("shop");
    assert_eq!(world.found(), "");
    let deployment = world.compiled();
    assert_eq!(deployment.service, "shop");
    assert_eq!(deployment.roles["web"].image.parameters["greeting"], "Hello from shop");
}

#[test]
fn a_service_whose_name_looks_like_a_number_stays_text() {
    assert_eq!(world("123").compiled().service, "123");
    assert_eq!(world("true").compiled().service, "true");
}
