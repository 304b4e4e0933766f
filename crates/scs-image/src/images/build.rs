//! Building an image that nobody has.

use super::{DIGEST_LABEL, Images, MANIFEST_LABEL, TITLE_LABEL, blocking, remove_directory, tag};
use crate::configurator::{self, Recipe, Script};
use crate::{Error, base, script};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use scs_manifest::compiled::{Base, Image, Source};
use scs_ports::engine::{self, Build, Commit, Labels, Progress};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Images {
    pub(super) async fn build(
        &self,
        digest: &str,
        image: &Image,
        title: &str,
        progress: &dyn Progress,
    ) -> Result<engine::Image, Error> {
        let proxies = configurator::proxies(|name| std::env::var(name).ok());
        let failed = |source| Error::Recipe { title: title.to_owned(), source };
        let labels = labels(digest, image, title);
        match configurator::recipe(image, &proxies).map_err(failed)? {
            Recipe::Script(script) => {
                let base = self.base(&base_of(image), title, progress).await?;
                progress.line(&format!("building the image of {title}"));
                self.by_script(digest, image, title, &script, &base, labels, progress).await
            }
            Recipe::Base => {
                let base = self.base(&base_of(image), title, progress).await?;
                self.settings(&base.id, &tag(digest), image, title, labels, progress).await
            }
            Recipe::Dockerfile { file, target, mut arguments } => {
                progress.line(&format!("building the image of {title}"));
                for (name, value) in proxies {
                    arguments.entry(name).or_insert(value);
                }
                self.by_dockerfile(digest, image, title, (file, target, arguments), labels, progress).await
            }
        }
    }

    async fn base(&self, base: &Base, title: &str, progress: &dyn Progress) -> Result<engine::Image, Error> {
        let found = base::ensure(self.engine.as_ref(), base, &self.tools, &self.locks(), progress).await;
        let failed = |error| Error::Base { title: title.to_owned(), source: Box::new(error) };
        found.map_err(failed)?.ok_or(Error::Invalid { title: title.to_owned(), message: "has no base to start from" })
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing, and there is one caller")]
    async fn by_script(
        &self,
        digest: &str,
        image: &Image,
        title: &str,
        script: &Script,
        base: &engine::Image,
        labels: Labels,
        progress: &dyn Progress,
    ) -> Result<engine::Image, Error> {
        let name = format!("{}{}", self.container_prefix(), digest.get(..16).unwrap_or(digest));
        let place = Place::new(self.state.join("builds").join(&name))?;
        self.lay_out(image, title, script, &place.path).await?;
        let commit = Commit {
            reference: tag(digest),
            labels,
            command: image.command.clone(),
            entrypoint: image.entrypoint.clone(),
            user: image.user.clone(),
        };
        let job = script::Job { title, container: name, base: &base.id, files: &place.path, commit };
        script::build(&self.engine, &job, progress).await
    }

    /// What the script sees: its own files, and the source.
    async fn lay_out(&self, image: &Image, title: &str, script: &Script, place: &Path) -> Result<(), Error> {
        let (bundles, into) = (self.bundles.clone(), place.join("source"));
        let digest = image.source_digest.clone();
        let unpacked = blocking(move || match digest {
            Some(digest) => bundles.unpack(&digest, &into),
            None => Ok(()),
        });
        unpacked.await.map_err(|source| Error::Source { title: title.to_owned(), source })?;
        for (path, wanted_by) in &script.needs {
            if !place.join("source").join(path).is_file() {
                let (title, path, wanted_by) = (title.to_owned(), path.clone(), wanted_by.clone());
                return Err(Error::Incomplete { title, path, wanted_by });
            }
        }
        script::write(script, place).map_err(Error::io("write the build's files into", place))
    }

    async fn by_dockerfile(
        &self,
        digest: &str,
        image: &Image,
        title: &str,
        (file, target, arguments): (String, Option<String>, BTreeMap<String, String>),
        labels: Labels,
        progress: &dyn Progress,
    ) -> Result<engine::Image, Error> {
        let incomplete = || Error::Incomplete {
            title: title.to_owned(),
            path: file.clone(),
            wanted_by: "the configuration method `dockerfile`".to_owned(),
        };
        let source = image.source_digest.clone().ok_or_else(incomplete)?;
        let (bundles, path) = (self.bundles.clone(), file.clone());
        let context = blocking(move || bundles.open(&source, &path)).await;
        let context = context.map_err(|source| Error::Source { title: title.to_owned(), source })?;
        let context = context.ok_or_else(incomplete)?;
        let own = image.command.is_some() || image.entrypoint.is_some() || image.user.is_some();
        // What the manifest sets comes on top, in a build of its own.
        let reference = if own { format!("scs-build:{}", digest.get(..16).unwrap_or(digest)) } else { tag(digest) };
        let request = Build {
            dockerfile: file,
            reference: reference.clone(),
            target,
            arguments,
            labels: if own { Labels::new() } else { labels.clone() },
            buildkit: true,
        };
        let built = self.engine.build(&request, stream(context), progress).await;
        let built = built.map_err(|error| failed(title, error))?;
        if !own {
            return Ok(built);
        }
        let made = self.settings(&reference, &tag(digest), image, title, labels, progress).await;
        let removed = self.engine.remove_image(&reference).await;
        let made = made?;
        removed.map_err(Error::engine(format!("remove {reference}")))?;
        Ok(made)
    }

    /// The base with command, entry point, user and labels.
    async fn settings(
        &self,
        base: &str,
        reference: &str,
        image: &Image,
        title: &str,
        labels: Labels,
        progress: &dyn Progress,
    ) -> Result<engine::Image, Error> {
        let text = configurator::settings(base, image);
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let packed = tar.append_data(&mut header, "Dockerfile", text.as_bytes()).and_then(|()| tar.into_inner());
        let packed = packed.expect("writing to memory does not fail");
        let request = Build {
            dockerfile: "Dockerfile".to_owned(),
            reference: reference.to_owned(),
            labels,
            buildkit: false,
            ..Build::default()
        };
        let context = futures_util::stream::iter([Ok(Bytes::from(packed))]).boxed();
        self.engine.build(&request, context, progress).await.map_err(|error| failed(title, error))
    }

    /// How names of our builds' containers begin.
    pub(super) fn container_prefix(&self) -> String {
        format!("scs-build-{}-", self.installation())
    }
}

fn failed(title: &str, error: engine::Error) -> Error {
    match error {
        engine::Error::Build { step, message, output } => {
            Error::Build { title: title.to_owned(), step, message, output }
        }
        other => Error::engine(format!("build the image of {title}"))(other),
    }
}

/// What an image starts from: a finished image that is given a command of its own is its own base.
fn base_of(image: &Image) -> Base {
    match (&image.base, &image.source) {
        (Base::None, Source::Reference(reference)) => Base::Reference(reference.clone()),
        (base, _) => base.clone(),
    }
}

fn labels(digest: &str, image: &Image, title: &str) -> Labels {
    let manifest = serde_json::to_string(image).expect("a compiled image is JSON");
    let title = image.title.clone().unwrap_or_else(|| title.to_owned());
    Labels::from([
        (DIGEST_LABEL.to_owned(), digest.to_owned()),
        (MANIFEST_LABEL.to_owned(), manifest),
        (TITLE_LABEL.to_owned(), title),
    ])
}

/// A directory of a build, gone with it.
struct Place {
    path: PathBuf,
}

impl Place {
    fn new(path: PathBuf) -> Result<Self, Error> {
        // What a killed build left.
        remove_directory(&path)?;
        std::fs::create_dir_all(&path).map_err(Error::io("make", &path))?;
        // An engine may run containers as a user of its own.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).map_err(Error::io("open up", &path))?;
        Ok(Place { path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove_directory(&self.path) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a build's files stay");
        }
    }
}

fn stream(file: std::fs::File) -> BoxStream<'static, std::io::Result<Bytes>> {
    tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 * 1024).boxed()
}
