//! Images made of containers.
//!
//! The engine's own commit mixes what the container was created with (environment, labels, user, command) into the image.
//! Where that happened, the image is made once more: the same layers, which the engine has, under a configuration of ours.

use crate::Docker;
use crate::call::Subject;
use crate::reference;
use bollard::models::{ContainerConfig, ImageInspect};
use bollard::query_parameters::{CommitContainerOptions, RemoveImageOptions, TagImageOptions};
use futures_util::{StreamExt, stream};
use scs_ports::engine::{Commit, Error, Image, Labels};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

impl Docker {
    pub(crate) async fn commit_container(&self, id: &str, request: &Commit) -> Result<Image, Error> {
        let subject = Subject::container("make an image of", id);
        let container = self.inspect(id).await?.ok_or_else(|| Error::NotFound { what: subject.what.clone() })?;
        let base = container.image.unwrap_or_default();
        let base = self.query(&subject, self.client.inspect_image(&base)).await?;
        let wanted = configuration(&base, request);
        // The engine's own commit may not be what is wanted yet, so it must not be found by the labels, whatever ends us now.
        let first = configuration(&base, &Commit { labels: Labels::new(), ..request.clone() });
        let unreadable = |error: serde_json::Error| Error::Refused {
            action: subject.action.clone(),
            message: format!("its image's configuration cannot be read: {error}"),
        };
        let body: ContainerConfig = serde_json::from_value(Value::Object(first)).map_err(unreadable)?;
        let options = CommitContainerOptions { container: Some(id.to_owned()), pause: true, ..Default::default() };
        // As much as the container has written is packed: no limit of time fits.
        let made = self.client.commit_container(options, body).await.map_err(|error| self.failure(&subject, error))?;
        let made = self.query(&subject, self.client.inspect_image(&made.id)).await?;
        let made_id = made.id.clone().unwrap_or_default();
        if differs(&made, &wanted) {
            self.load_image(stream::iter([Ok(rewritten(&made, &wanted, &request.reference)?.into())]).boxed()).await?;
            let options = RemoveImageOptions { noprune: true, ..Default::default() };
            self.order(&subject, self.client.remove_image(&made_id, Some(options), None)).await?;
        } else {
            let (repository, tag) = reference::split(&request.reference);
            let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
            self.order(&subject, self.client.tag_image(&made_id, Some(options))).await?;
        }
        self.made_image(&request.reference).await
    }
}

/// The configuration of the container's image with what the caller gives.
fn configuration(base: &ImageInspect, request: &Commit) -> Map<String, Value> {
    let base = base.config.as_ref().and_then(|it| serde_json::to_value(it).ok());
    let mut config = match base {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    config.retain(|_, value| !value.is_null());
    if !request.labels.is_empty() {
        let labels = config.entry("Labels").or_insert_with(|| json!({}));
        if let Value::Object(labels) = labels {
            labels.extend(request.labels.iter().map(|(key, value)| (key.clone(), json!(value))));
        }
    }
    if let Some(entrypoint) = &request.entrypoint {
        config.insert("Entrypoint".to_owned(), json!(entrypoint));
        config.remove("Cmd");
    }
    if let Some(command) = &request.command {
        config.insert("Cmd".to_owned(), json!(command));
    }
    if let Some(user) = &request.user {
        config.insert("User".to_owned(), json!(user));
    }
    config
}

/// Whether the image's configuration is another one than wanted.
fn differs(made: &ImageInspect, wanted: &Map<String, Value>) -> bool {
    let made = made.config.as_ref().and_then(|it| serde_json::to_value(it).ok()).unwrap_or_default();
    let set = |value: Option<&Value>| -> BTreeSet<String> {
        match value {
            Some(Value::Array(items)) => items.iter().map(Value::to_string).collect(),
            Some(Value::Object(map)) => map.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            Some(Value::String(text)) if !text.is_empty() => BTreeSet::from([text.clone()]),
            _ => BTreeSet::new(),
        }
    };
    ["Env", "Labels", "User", "Cmd", "Entrypoint", "WorkingDir", "ExposedPorts", "Volumes"]
        .iter()
        .any(|key| set(made.get(*key)) != set(wanted.get(*key)))
}

/// A tar as of `docker save`, of an image with the layers of `made`, which are named but not contained: the engine has them.
fn rewritten(made: &ImageInspect, config: &Map<String, Value>, reference: &str) -> Result<Vec<u8>, Error> {
    let layers = made.root_fs.as_ref().and_then(|it| it.layers.clone()).unwrap_or_default();
    let image = json!({
        "architecture": made.architecture,
        "os": made.os,
        "created": made.created,
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": layers },
        "history": layers.iter().map(|_| json!({ "created": made.created })).collect::<Vec<_>>(),
    });
    let (repository, tag) = reference::split(reference);
    let manifest = json!([{
        "Config": "config.json",
        "RepoTags": [format!("{repository}:{tag}")],
        "Layers": (0..layers.len()).map(|it| format!("{it}/layer.tar")).collect::<Vec<_>>(),
    }]);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("config.json", image.to_string()), ("manifest.json", manifest.to_string())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes()).map_err(packing)?;
    }
    tar.into_inner().map_err(packing)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn packing(error: std::io::Error) -> Error {
    Error::Refused { action: "make an image of a container".to_owned(), message: error.to_string() }
}
