//! Who gets a volume, and what the engine is asked for it.

use super::*;
use scs_ports::engine::{Create, Labels};
use scs_ports::fake::{self, Behaviour, Op};
use std::os::unix::fs::MetadataExt as _;
use tempfile::TempDir;

/// A container that is made of an image with a list of users: `me` is who runs this test, and may give what it has to itself.
struct World {
    engine: fake::Engine,
    directory: TempDir,
    options: Options,
    container: String,
}

impl World {
    async fn new() -> Self {
        let (engine, directory) = (fake::Engine::new(), tempfile::tempdir().unwrap());
        engine.add_image("image:1", &Labels::new());
        let own = fs::metadata(directory.path()).unwrap();
        let users = format!("root:x:0:0:root:/root:/bin/sh\nme:x:{}:{}::/:/bin/sh\n", own.uid(), own.gid());
        engine.add_file("image:1", "/etc/passwd", &users);
        engine.on_start(|_| Behaviour::ends(std::time::Duration::ZERO, 0));
        fs::create_dir(directory.path().join("data")).unwrap();
        fs::write(directory.path().join("marker"), "").unwrap();
        let options = Options {
            host: "h1".into(),
            owner: "us".into(),
            cluster: None,
            state: directory.path().to_owned(),
            attributes: Default::default(),
            helper: Some("/helper".into()),
            watchdog: None,
        };
        let create =
            Create { name: "one".into(), image: "image:1".into(), network: "none".into(), ..Create::default() };
        let container = engine.create(&create).await.unwrap();
        Self { engine, directory, options, container }
    }

    fn fresh(&self, owner: &str) -> Fresh {
        Fresh {
            source: MountSource::Host(self.directory.path().join("data")),
            owner: Some(owner.to_owned()),
            mode: Some(0o2750),
            ours: true,
            marker: self.directory.path().join("marker"),
        }
    }

    /// Gives it, and counts the containers that were made for that.
    async fn give(&self, fresh: Fresh) -> (Result<(), Failure>, usize) {
        let owning = Owning {
            engine: &self.engine,
            options: &self.options,
            users: &Users::default(),
            image: "image:1",
            instance: "run1",
            container: &self.container,
            scs: self.directory.path().join("scs"),
        };
        let given = owning.give(&[fresh]).await;
        let made = self.engine.calls().iter().filter(|(op, _)| *op == Op::Create).count() - 1;
        assert_eq!(self.engine.all().len(), 1, "what was made for it is removed");
        (given, made)
    }

    fn marked(&self) -> bool {
        self.directory.path().join("marker").exists()
    }
}

#[tokio::test]
async fn a_directory_of_ours_is_given_without_another_container() {
    let world = World::new().await;
    assert_eq!(world.give(world.fresh("me")).await, (Ok(()), 0));
    let data = fs::metadata(world.directory.path().join("data")).unwrap();
    assert_eq!(data.mode() & 0o7777, 0o2750);
    assert!(!world.marked());
}

#[tokio::test]
async fn a_name_that_the_image_does_not_list_is_for_the_helper_to_refuse() {
    let world = World::new().await;
    world.engine.on_start(|_| Behaviour {
        lines: vec![(scs_ports::engine::Stream::Stderr, "there is no user `mysql`".into())],
        ..Behaviour::ends(std::time::Duration::ZERO, 1)
    });
    let (given, made) = world.give(world.fresh("mysql")).await;
    assert_eq!(given.unwrap_err().message, "cannot give a fresh volume to mysql: there is no user `mysql`");
    assert_eq!(made, 1);
    assert!(world.marked(), "the next start does it");
}

#[tokio::test]
async fn where_users_are_other_ones_outside_the_helper_does_it() {
    let world = World::new().await;
    world.engine.remap_users();
    assert_eq!(world.give(world.fresh("me")).await, (Ok(()), 1));
    assert!(!world.marked());
}

#[tokio::test]
async fn a_part_of_another_volume_is_touched_only_inside_a_container() {
    let world = World::new().await;
    let (outside, data) = (world.directory.path().join("outside"), world.directory.path().join("data"));
    fs::create_dir(&outside).unwrap();
    fs::remove_dir(&data).unwrap();
    std::os::unix::fs::symlink(&outside, &data).unwrap();
    let before = fs::metadata(&outside).unwrap().mode();
    let fresh = Fresh { ours: false, ..world.fresh("me") };
    assert_eq!(world.give(fresh).await, (Ok(()), 1));
    assert_eq!(fs::metadata(&outside).unwrap().mode(), before);
}
