//! Images made of containers.

use scs_ports::engine::{Commit, Engine};
use scs_testkit::TestEngine;
use std::process::Command;

fn config(reference: &str, format: &str) -> String {
    let output = Command::new("docker").args(["image", "inspect", "--format", format, reference]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn an_image_of_a_container_has_its_files_and_nothing_of_its_settings() {
    let engine = TestEngine::new("scs-commit").await;
    let docker = engine.docker();
    let mut request = engine.container("one", &["play", "write=/made:here"]).await;
    request.environment.insert("SECRET".to_owned(), "x".to_owned());
    request.labels.insert("scs.owner".to_owned(), "somebody".to_owned());
    request.user = Some("0:0".to_owned());
    let id = docker.create(&request).await.unwrap();
    docker.start(&id).await.unwrap();
    docker.wait(&id).await.unwrap();
    let commit = Commit {
        reference: format!("{}:1", engine.name()),
        labels: engine.labels(),
        command: Some(vec!["play".to_owned(), "read=/made".to_owned()]),
        entrypoint: Some(vec!["/scs-helper".to_owned()]),
        user: None,
    };
    let image = docker.commit(&id, &commit).await.unwrap();
    assert_eq!(image.references, std::slice::from_ref(&commit.reference));
    assert!(!image.labels.contains_key("scs.owner"), "{:?}", image.labels);
    assert!(engine.labels().iter().all(|(key, value)| image.labels.get(key) == Some(value)), "{:?}", image.labels);
    let env = config(&commit.reference, "{{json .Config.Env}}");
    assert!(!env.contains("SECRET"), "{env}");
    assert_eq!(
        config(&commit.reference, "{{json .Config.Entrypoint}} {{json .Config.Cmd}}"),
        "[\"/scs-helper\"] [\"play\",\"read=/made\"]"
    );
    assert_eq!(config(&commit.reference, "{{.Config.User}}"), "");
    assert_eq!(config(&commit.reference, "{{len .RootFS.Layers}}"), "2", "the base's layer and the container's");

    // It runs, with the command that was given.
    let mut run = engine.container("two", &[]).await;
    run.command = None;
    run.image.clone_from(&image.id);
    let id = docker.create(&run).await.unwrap();
    docker.start(&id).await.unwrap();
    assert_eq!(docker.wait(&id).await.unwrap().code, 0);
    docker.remove(&id).await.unwrap();
    docker.remove(&engine.named("one")).await.unwrap();
    docker.remove_image(&commit.reference).await.unwrap();
    assert_eq!(docker.image(&image.id).await.unwrap(), None);
}
