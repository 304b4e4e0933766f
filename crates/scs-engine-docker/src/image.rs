//! Images: looking, naming, moving them in and out. Building them is in [`crate::build`].

use crate::Docker;
use crate::call::{Subject, optional};
use crate::container::label_filters;
use crate::reference;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptions, ImportImageOptions, ListImagesOptions, RemoveImageOptions, TagImageOptions,
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use scs_ports::engine::{Error, Image, Labels, Progress};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

impl Docker {
    pub(crate) async fn list_images(&self, labels: &Labels) -> Result<Vec<Image>, Error> {
        let filters = HashMap::from([("label".to_owned(), label_filters(labels))]);
        let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
        let listed = self.query(&Subject::engine("list images"), self.client.list_images(Some(options))).await?;
        let images = listed.into_iter().map(|it| Image {
            id: it.id,
            references: named(it.repo_tags),
            labels: it.labels.into_iter().collect(),
            size: u64::try_from(it.size).unwrap_or(0),
            created: u64::try_from(it.created)
                .ok()
                .and_then(|it| SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(it))),
        });
        Ok(images.collect())
    }

    pub(crate) async fn find_image(&self, reference: &str) -> Result<Option<Image>, Error> {
        let call = self.client.inspect_image(reference);
        let found = optional(self.query(&Subject::image("inspect", reference), call).await)?.map(view);
        // The engine also takes the beginning of an id, which a name such as `cafe` may happen to be.
        let name = format!("{reference}:latest");
        Ok(found.filter(|it| !reference::looks_like_an_id(reference) || it.references.contains(&name)))
    }

    /// The image that must be there now.
    pub(crate) async fn made_image(&self, reference: &str) -> Result<Image, Error> {
        let found = self.find_image(reference).await?;
        found.ok_or_else(|| Error::NotFound { what: format!("image `{reference}`") })
    }

    pub(crate) async fn pull_image(&self, reference: &str, progress: &dyn Progress) -> Result<Image, Error> {
        let subject = Subject::image("pull", reference);
        let (repository, tag) = reference::split(reference);
        let options = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            // Without a tag the engine would pull all of them.
            tag: Some(tag.to_owned()).filter(|it| !it.is_empty()),
            ..Default::default()
        };
        let mut steps = self.client.create_image(Some(options), None, None);
        // Every layer reports its percentage many times a second; what is told is when it gets to another stage.
        let mut stages: HashMap<String, String> = HashMap::new();
        while let Some(step) = steps.next().await {
            let step = step.map_err(|error| self.failure(&subject, error))?;
            let Some(status) = step.status else { continue };
            let layer = step.id.unwrap_or_default();
            if stages.get(&layer) != Some(&status) {
                progress.line(&if layer.is_empty() { status.clone() } else { format!("{layer}: {status}") });
                stages.insert(layer, status);
            }
        }
        self.made_image(reference).await
    }

    pub(crate) async fn import_image(
        &self,
        reference: &str,
        rootfs: ByteStream,
        labels: &Labels,
    ) -> Result<Image, Error> {
        let subject = Subject::image("import", reference);
        let (repository, tag) = reference::split(reference);
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            changes: labels.iter().map(|(key, value)| format!("LABEL {}={}", quoted(key), quoted(value))).collect(),
            ..Default::default()
        };
        let (body, broken) = upload(rootfs);
        let steps = self.client.create_image(Some(options), Some(bollard::body_try_stream(body)), None);
        let done = steps.try_for_each(|_| async { Ok(()) }).await;
        done.map_err(|error| broken.or(&subject, || self.failure(&subject, error)))?;
        self.made_image(reference).await
    }

    pub(crate) async fn save_image(&self, reference: &str) -> Result<ByteStream, Error> {
        // The stream itself would say so only when it is first read.
        self.made_image(reference).await?;
        let (docker, subject) = (self.clone(), Subject::image("save", reference));
        let parts = self.client.export_image(reference);
        Ok(parts.map_err(move |error| std::io::Error::other(docker.failure(&subject, error))).boxed())
    }

    pub(crate) async fn load_image(&self, image: ByteStream) -> Result<(), Error> {
        let subject = Subject::engine("load an image");
        let (body, broken) = upload(image);
        let steps = self.client.import_image_stream(ImportImageOptions { quiet: true, platform: None }, body, None);
        let done = steps.try_for_each(|_| async { Ok(()) }).await;
        done.map_err(|error| broken.or(&subject, || self.failure(&subject, error)))
    }

    pub(crate) async fn tag_image(&self, reference: &str, name: &str) -> Result<(), Error> {
        let (repository, tag) = reference::split(name);
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
        self.order(&Subject::image("tag", reference), self.client.tag_image(reference, Some(options))).await
    }

    pub(crate) async fn drop_image(&self, reference: &str) -> Result<(), Error> {
        let call = self.client.remove_image(reference, None::<RemoveImageOptions>, None);
        optional(self.order(&Subject::image("remove", reference), call).await).map(|_| ())
    }
}

/// A request's body, and where its own failure is kept: the client reports it as if the engine had gone away.
pub(crate) fn upload(bytes: ByteStream) -> (ByteStream, Broken) {
    let broken = Broken::default();
    let kept = broken.clone();
    let body = bytes.map_err(move |error| {
        *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        error
    });
    (body.boxed(), broken)
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Broken(Arc<Mutex<Option<String>>>);

impl Broken {
    /// The body's own failure, or else the given one.
    pub fn or(&self, subject: &Subject, other: impl FnOnce() -> Error) -> Error {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(message) => Error::Refused { action: subject.action.clone(), message },
            None => other(),
        }
    }
}

fn view(image: ImageInspect) -> Image {
    Image {
        id: image.id.unwrap_or_default(),
        references: named(image.repo_tags.unwrap_or_default()),
        labels: image.config.and_then(|it| it.labels).unwrap_or_default().into_iter().collect(),
        size: image.size.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
        created: image.created.as_deref().and_then(time),
    }
}

fn named(mut tags: Vec<String>) -> Vec<String> {
    tags.retain(|it| it != "<none>:<none>");
    tags
}

/// A word of a Dockerfile instruction, in which nothing is a quote's end or a variable.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        if matches!(letter, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// A time as the engine writes it; its "never" is the year 1.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    (timestamp > jiff::Timestamp::UNIX_EPOCH).then(|| SystemTime::from(timestamp))
}
