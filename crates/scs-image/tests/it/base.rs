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

/// Tools that leave their scratch files, if any, where the test can see them.
fn tools(world: &World) -> (Tools, std::path::PathBuf) {
    let scratch = world.place.path().join("scratch");
    std::fs::create_dir(&scratch).expect("made");
    let mut tools = Tools::here();
    tools.environment.push(("TMPDIR".to_owned(), scratch.display().to_string()));
    (tools, scratch)
}

#[tokio::test]
async fn where_mmdebstrap_is_not_there_debootstrap_makes_it_and_leaves_nothing_beside() {
    let world = World::new().await;
    // A release that no other test starts from.
    let (suite, name) = ("bullseye", reference("bullseye", None));
    world.engine.remove_image(&name).await.expect("removed");
    world.removes(&name);
    let (mut tools, scratch) = tools(&world);
    let bin = world.place.path().join("bin");
    std::fs::create_dir(&bin).expect("made");
    std::os::unix::fs::symlink("/usr/sbin/debootstrap", bin.join("debootstrap")).expect("made");
    tools.path = vec![bin];
    let made = ensure(world.engine.as_ref(), &debootstrap(suite), &tools, &world.state(), &world.lines).await;
    let made = made.unwrap_or_else(|error| panic!("{error}: {}", world.lines.all())).expect("a base");
    let release = world.output(&made.id, Some("grep VERSION_CODENAME /etc/os-release")).await;
    assert_eq!(release, "VERSION_CODENAME=bullseye\n");
    assert_eq!(std::fs::read_dir(scratch).expect("read").count(), 0);
}

#[tokio::test]
async fn a_release_that_is_not_there_leaves_nothing() {
    let world = World::new().await;
    let (tools, scratch) = tools(&world);
    let base = debootstrap("no-such-release");
    let made = ensure(world.engine.as_ref(), &base, &tools, &world.state(), &world.lines).await;
    let error = made.expect_err("there is no such release");
    assert!(matches!(&error, Error::Failed { output, .. } if !output.is_empty()), "{error:?}");
    assert!(world.engine.image(&reference("no-such-release", None)).await.expect("asked").is_none());
    assert_eq!(std::fs::read_dir(scratch).expect("read").count(), 0);
}

#[tokio::test]
async fn a_base_that_is_given_up_leaves_nothing() {
    let world = World::new().await;
    let (tools, scratch) = tools(&world);
    let base = debootstrap("sid");
    let (locks, working) = (world.state(), tokio::sync::Notify::new());
    let progress = |line: &str| {
        if line.contains("apt-get update") {
            working.notify_one();
        }
    };
    tokio::select! {
        made = ensure(world.engine.as_ref(), &base, &tools, &locks, &progress) => panic!("too soon: {made:?}"),
        () = working.notified() => {}
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while let Some(left) = std::fs::read_dir(&scratch).expect("read").next() {
        assert!(std::time::Instant::now() < deadline, "still there: {left:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(world.engine.image(&reference("sid", None)).await.expect("asked").is_none());
}
