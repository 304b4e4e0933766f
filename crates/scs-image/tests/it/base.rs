//! Base systems made of Debian's packages, with the real mmdebstrap.

use super::world::World;
use scs_image::base::{Error, LABEL, Tools, ensure, reference};
use scs_manifest::compiled::Base;
use scs_ports::engine::Labels;

fn debootstrap(suite: &str) -> Base {
    Base::Debootstrap { suite: suite.to_owned(), snapshot: None }
}

#[tokio::test]
async fn a_base_is_made_once_and_found_again() {
    let world = World::new().await;
    // Not the release that everybody else's tests start from.
    let (suite, name) = ("trixie", reference("trixie", None));
    world.engine.remove_image(&name).await.expect("removed");
    world.removes(&name);
    let (base, locks) = (debootstrap(suite), world.state());
    let tools = Tools::here();
    let make = || ensure(world.engine.as_ref(), &base, &tools, &locks, &world.lines);
    let (one, two) = tokio::join!(make(), make());
    let one = one.unwrap_or_else(|error| panic!("{error}: {}", world.lines.all())).expect("a base");
    assert_eq!(one.id, two.expect("made").expect("a base").id);
    assert_eq!(one.labels, Labels::from([(LABEL.to_owned(), suite.to_owned())]));
    assert_eq!(world.lines.all().matches("making scs-base:trixie").count(), 1);
    assert!(world.lines.all().contains("I: "), "{}", world.lines.all());
    let release = world.output(&one.id, Some("grep VERSION_CODENAME /etc/os-release")).await;
    assert_eq!(release, "VERSION_CODENAME=trixie\n");
    assert_eq!(make().await.expect("found").expect("a base").id, one.id);
}

#[tokio::test]
async fn a_release_that_is_not_there_leaves_no_image() {
    let world = World::new().await;
    let suite = "no-such-release";
    let made = ensure(world.engine.as_ref(), &debootstrap(suite), &Tools::here(), &world.state(), &world.lines).await;
    let error = made.expect_err("there is no such release");
    assert!(matches!(&error, Error::Failed { output, .. } if !output.is_empty()), "{error:?}");
    assert!(world.engine.image(&reference(suite, None)).await.expect("asked").is_none());
}
