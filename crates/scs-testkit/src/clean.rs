//! Removes what a test has made, and shows what its containers wrote.

use crate::say;
use bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions, RemoveImageOptions,
    RemoveVolumeOptions,
};
use futures_util::StreamExt;
use scs_engine_docker::Docker;
use scs_ports::engine::{Engine, Logs, Stream};
use std::collections::HashMap;

/// How many of a container's last lines are shown.
const LINES: u64 = 100;

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) async fn all(address: &str, labels: &[(String, String)], failed: bool) {
    for (key, value) in labels {
        if let Err(error) = labelled(address, key, value, failed).await {
            say(&format!("not all of {key}={value} was cleaned up: {error}"));
        }
    }
}

async fn labelled(address: &str, key: &str, value: &str, failed: bool) -> Result<(), Failure> {
    let docker = Docker::connect(Some(&address.replacen("http://", "tcp://", 1))).await?;
    let client = match address.strip_prefix("unix://") {
        Some(path) => bollard::Docker::connect_with_unix(path, 120, bollard::API_DEFAULT_VERSION)?,
        None => bollard::Docker::connect_with_http(address, 120, bollard::API_DEFAULT_VERSION)?,
    };
    let client = client.negotiate_version().await?;
    let filters = Some(HashMap::from([("label".to_owned(), vec![format!("{key}={value}")])]));
    // Read as a list: one that is just going away is there, but cannot be looked at.
    let options = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
    for container in client.list_containers(Some(options)).await? {
        let Some(id) = container.id else { continue };
        if failed {
            let name = container.names.unwrap_or_default().join(", ");
            show(&docker, &id, &format!("{name} ({})", container.status.unwrap_or_default())).await;
        }
        docker.remove(&id).await?;
    }
    let options = ListNetworksOptions { filters: filters.clone() };
    for network in client.list_networks(Some(options)).await? {
        docker.remove_network(&network.id.unwrap_or_default()).await?;
    }
    let options = ListVolumesOptions { filters: filters.clone() };
    for volume in client.list_volumes(Some(options)).await?.volumes.unwrap_or_default() {
        client.remove_volume(&volume.name, Some(RemoveVolumeOptions { force: true })).await?;
    }
    let options = ListImagesOptions { filters, ..Default::default() };
    for image in client.list_images(Some(options)).await? {
        let options = RemoveImageOptions { force: true, ..Default::default() };
        // Another image of the same test may build on it; it goes away with that one.
        let _ = client.remove_image(&image.id, Some(options), None).await;
    }
    Ok(())
}

async fn show(docker: &Docker, id: &str, name: &str) {
    say(&format!("--- output of container {name}"));
    let logs = Logs { tail: Some(LINES), ..Logs::default() };
    let Ok(mut lines) = docker.logs(id, &logs).await else { return };
    while let Some(Ok(line)) = lines.next().await {
        let stream = if line.stream == Stream::Stderr { "err" } else { "out" };
        say(&format!("{stream}: {}", String::from_utf8_lossy(&line.bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestEngine;
    use scs_ports::engine::Labels;

    #[tokio::test]
    async fn a_dropped_engine_leaves_nothing_of_its_test() {
        let engine = TestEngine::new("testkit-clean").await;
        let (docker, name) = (engine.docker().clone(), engine.name().to_owned());
        let container = engine.container("one", &["play", "sleep=60s"]).await;
        let id = docker.create(&container).await.unwrap();
        docker.start(&id).await.unwrap();
        drop(engine);
        assert_eq!(docker.containers(&Labels::from([("scs.test".to_owned(), name)])).await.unwrap(), Vec::new());
    }
}
