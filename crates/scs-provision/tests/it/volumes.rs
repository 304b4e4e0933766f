//! What the suite of the volume port does not show.

use super::World;
use scs_ports::engine::{Engine, MountSource};
use scs_ports::volume::{Ensured, Error, VolumeRequest};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn path(ensured: &Ensured) -> PathBuf {
    match &ensured.source {
        MountSource::Host(path) => path.clone(),
        MountSource::Named(name) => panic!("`{name}` is not on the host"),
    }
}

fn with(mut request: VolumeRequest, options: &Value) -> VolumeRequest {
    request.options = options.as_object().unwrap().clone();
    request
}

fn option_of(refused: Result<Ensured, Error>) -> (String, String) {
    match refused {
        Err(Error::Option { option, message, .. }) => (option, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn local_data_without_its_marker_is_somebody_elses() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    let data = path(&local.ensure(&request).await.unwrap());
    fs::write(data.join("file"), "x").unwrap();
    fs::remove_file(data.with_file_name("volume.json")).unwrap();
    let refused = local.ensure(&request).await;
    assert!(matches!(refused, Err(Error::Foreign { .. })), "{refused:?}");
    assert!(data.join("file").exists());
}

#[tokio::test]
async fn an_interrupted_making_of_a_local_volume_is_taken_up_again() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    let data = path(&local.ensure(&request).await.unwrap());
    fs::remove_file(data.with_file_name("volume.json")).unwrap();
    assert!(local.ensure(&request).await.unwrap().fresh);
}

#[tokio::test]
async fn a_local_volume_whose_data_is_gone_is_missing_even_when_it_is_said_to_be_new() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    let data = path(&local.ensure(&request).await.unwrap());
    fs::remove_dir(&data).unwrap();
    let refused = local.ensure(&request).await;
    assert!(
        matches!(&refused, Err(Error::Missing { place, .. }) if *place == data.display().to_string()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_marker_that_cannot_be_read_keeps_everybody_out() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    let data = path(&local.ensure(&request).await.unwrap());
    fs::write(data.with_file_name("volume.json"), "{ half").unwrap();
    let refused = local.ensure(&request).await;
    assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
}

#[tokio::test]
async fn destroying_leaves_no_empty_directories() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    local.ensure(&request).await.unwrap();
    local.destroy(&request.id).await.unwrap();
    assert_eq!(fs::read_dir(world.host.state.join("volumes")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_containers_own_is_removed_by_the_helper() {
    let world = World::new().await;
    let (local, request) = (world.volumes("local"), world.setup().request("data"));
    let data = path(&local.ensure(&request).await.unwrap());
    fs::create_dir(data.join("inner")).unwrap();
    fs::write(data.join("inner/file"), "x").unwrap();
    // As root, everything can be removed; so it is asked to directly.
    let mount = scs_ports::engine::Mount {
        source: MountSource::Host(data.clone()),
        target: "/tree".to_owned(),
        read_only: false,
    };
    let engine: &dyn Engine = world.engine.docker();
    let code = scs_provision::helper::run(engine, &[mount], &["remove", "--contents", "/tree"]).await.unwrap();
    assert_eq!(code, 0);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    let name = format!("scs-helper-{}-", std::process::id());
    let left = engine.containers(&[(scs_helper::LABEL.to_owned(), String::new())].into()).await.unwrap();
    assert!(left.iter().all(|it| !it.name.starts_with(&name)), "{left:?}");
}

#[tokio::test]
async fn a_sub_volume_stays_inside_its_parent() {
    let world = World::new().await;
    let parent = world.state.join("parent");
    fs::create_dir(&parent).unwrap();
    let sub = world.volumes("sub");
    let mut request = world.setup().request("inner");
    request.parent = Some(MountSource::Host(parent.clone()));
    for outside in ["../other", "/etc", "a/../../b", ".", ""] {
        let (option, _) = option_of(sub.ensure(&with(request.clone(), &json!({ "path": outside }))).await);
        assert_eq!(option, "path", "{outside}");
    }
    // What a container may have left there.
    symlink("/etc", parent.join("link")).unwrap();
    let (option, message) = option_of(sub.ensure(&with(request.clone(), &json!({ "path": "link/x" }))).await);
    assert!(option == "path" && message.contains("link"), "{message}");
    let made = sub.ensure(&with(request, &json!({ "of": "code", "path": "a/b" }))).await.unwrap();
    assert_eq!((path(&made), made.fresh), (parent.join("a/b"), true));
}

#[tokio::test]
async fn a_link_that_a_container_left_does_not_lead_deleting_out_of_the_parent() {
    let world = World::new().await;
    let (parent, outside) = (world.state.join("parent"), world.state.join("outside"));
    fs::create_dir(&parent).unwrap();
    fs::create_dir_all(outside.join("b")).unwrap();
    fs::write(outside.join("b/file"), "x").unwrap();
    let sub = world.volumes("sub");
    let mut request = with(world.setup().request("inner"), &json!({ "path": "a/b" }));
    request.parent = Some(MountSource::Host(parent.clone()));
    sub.ensure(&request).await.unwrap();
    fs::rename(parent.join("a"), parent.join("moved")).unwrap();
    symlink(&outside, parent.join("a")).unwrap();
    let refused = sub.destroy(&request.id).await;
    assert!(matches!(refused, Err(Error::Option { .. })), "{refused:?}");
    assert!(outside.join("b/file").exists());
    fs::remove_file(parent.join("a")).unwrap();
    fs::rename(parent.join("moved"), parent.join("a")).unwrap();
    sub.destroy(&request.id).await.unwrap();
    assert!(!parent.join("a/b").exists());
}

#[tokio::test]
async fn a_sub_volume_that_came_with_its_parent_is_not_deleted() {
    let world = World::new().await;
    let parent = world.state.join("parent");
    fs::create_dir_all(parent.join("inner")).unwrap();
    fs::write(parent.join("inner/file"), "x").unwrap();
    let sub = world.volumes("sub");
    let mut request = world.setup().request("inner");
    request.parent = Some(MountSource::Host(parent.clone()));
    assert!(!sub.ensure(&request).await.unwrap().fresh);
    sub.destroy(&request.id).await.unwrap();
    assert!(parent.join("inner/file").exists());
}

#[tokio::test]
async fn a_volume_of_the_engine_can_be_nobodys_parent() {
    let world = World::new().await;
    let mut request = world.setup().request("inner");
    request.parent = Some(MountSource::Named("other".to_owned()));
    let refused = world.volumes("sub").ensure(&request).await;
    assert!(matches!(&refused, Err(Error::Unsupported { message, .. }) if message.contains("`local`")), "{refused:?}");
}

#[tokio::test]
async fn a_bound_directory_must_be_there_and_is_never_made() {
    let world = World::new().await;
    let bind = world.volumes("bind");
    let mut request = world.setup().request("code");
    request.origin = world.state.path().to_owned();
    let (option, _) = option_of(bind.ensure(&request).await);
    assert_eq!(option, "from");
    let asked = with(request.clone(), &json!({ "from": "./src" }));
    let (option, message) = option_of(bind.ensure(&asked).await);
    assert!(option == "from" && message.contains("not there"), "{message}");
    fs::create_dir(world.state.join("src")).unwrap();
    let found = bind.ensure(&asked).await.unwrap();
    assert_eq!((path(&found), found.fresh), (world.state.join("src"), false));
    let refused = bind.destroy(&request.id).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    fs::remove_dir(world.state.join("src")).unwrap();
    let refused = bind.ensure(&asked).await;
    assert!(matches!(refused, Err(Error::Missing { .. })), "once seen, it is not made anew: {refused:?}");
    assert_eq!(bind.inspect(&request.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_bound_directory_refuses_a_permit_that_has_passed() {
    let world = World::new().await;
    let bind = world.volumes("bind");
    let request = with(world.setup().request("code"), &json!({ "from": world.state.path() }));
    bind.ensure(&VolumeRequest { epoch: 3, ..request.clone() }).await.unwrap();
    let refused = bind.ensure(&VolumeRequest { epoch: 2, ..request }).await;
    assert!(matches!(refused, Err(Error::StaleEpoch { seen: 3, asked: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_named_volume_of_the_users_is_used_and_never_deleted() {
    let world = World::new().await;
    let (docker, engine) = (world.volumes("docker"), world.host.engine.clone());
    let name = world.engine.named("mine");
    let mine = scs_ports::engine::NamedVolume {
        name: name.clone(),
        labels: world.engine.labels(),
        ..scs_ports::engine::NamedVolume::default()
    };
    engine.create_volume(&mine).await.unwrap();
    let request = with(world.setup().request("data"), &json!({ "name": name }));
    let ensured = docker.ensure(&request).await.unwrap();
    assert_eq!((ensured.source, ensured.fresh), (MountSource::Named(name.clone()), false));
    let refused = docker.destroy(&request.id).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    assert!(engine.volume(&name).await.unwrap().is_some());
}

#[tokio::test]
async fn a_named_volume_of_another_volume_of_scs_is_foreign() {
    let mut world = World::new().await;
    let docker = world.volumes("docker");
    let name = world.engine.named("shared");
    let id = world.setup().request("data").id.to_string();
    world.engine.also_clean("scs.volume", &id);
    docker.ensure(&with(world.setup().request("data"), &json!({ "name": name }))).await.unwrap();
    let refused = docker.ensure(&with(world.setup().request("logs"), &json!({ "name": name }))).await;
    assert!(matches!(&refused, Err(Error::Foreign { found, .. }) if found.contains("/data")), "{refused:?}");
}
