//! What every test here has: an engine, temporary places, and images of its own that go when it ends.

use futures_util::StreamExt;
use scs_engine_docker::Docker;
use scs_image::cache::Cache;
use scs_image::source::{BundleStore, Options, scan};
use scs_image::{Built, Error, Images};
use scs_manifest::compiled::{Base, Configurator, Image, Source};
use scs_manifest::digest::image_digest;
use scs_ports::engine::{Create, Engine, Labels, Logs, Progress};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const BASE: &str = "scs-base:bookworm";

pub struct World {
    pub engine: Arc<dyn Engine>,
    pub place: tempfile::TempDir,
    pub lines: Lines,
    references: Mutex<Vec<String>>,
}

/// Progress that remembers.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Progress for Lines {
    fn line(&self, line: &str) {
        self.0.lock().expect("no panic").push(line.to_owned());
    }
}

impl Lines {
    pub fn all(&self) -> String {
        self.0.lock().expect("no panic").join("\n")
    }
}

impl World {
    pub async fn new() -> Self {
        let engine = Docker::connect(None).await.expect("a Docker Engine runs on this machine");
        assert!(
            engine.image(BASE).await.expect("it answers").is_some(),
            "{BASE} is missing: mmdebstrap --variant=minbase bookworm base.tar && docker import base.tar {BASE}"
        );
        World {
            engine: Arc::new(engine),
            place: tempfile::tempdir().expect("made"),
            lines: Lines::default(),
            references: Mutex::default(),
        }
    }

    pub fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    pub fn bundles(&self) -> BundleStore {
        BundleStore::new(self.place.path().join("bundles"))
    }

    pub fn images(&self, caches: Vec<Arc<dyn Cache>>) -> Images {
        Images::new(Arc::clone(&self.engine), self.bundles(), caches, self.state())
    }

    /// A bundle of these files (executable where the text starts with `#!`) and one that makes it this test's own.
    pub fn source(&self, files: &[(&str, &str)]) -> String {
        let root = tempfile::tempdir_in(self.place.path()).expect("made");
        let own = self.place.path().display().to_string();
        for (path, text) in files.iter().chain(&[("own", own.as_str())]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(&path, text).expect("written");
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        }
        let tree = scan(root.path(), &Options::default()).expect("read");
        self.bundles().put(&tree).expect("stored");
        tree.digest
    }

    pub fn image(&self, configurator: Configurator, parameters: serde_json::Value, files: &[(&str, &str)]) -> Image {
        let serde_json::Value::Object(parameters) = parameters else { panic!("parameters are an object") };
        Image {
            title: Some("Test".to_owned()),
            source: Source::Path("image".to_owned()),
            source_digest: Some(self.source(files)),
            base: Base::Reference(BASE.to_owned()),
            configurator,
            parameters,
            command: None,
            entrypoint: None,
            user: None,
            platform: "linux/amd64".to_owned(),
        }
    }

    /// Ensures an image with a service of its own.
    pub async fn ensure(&self, image: &Image) -> Result<Built, Error> {
        self.images(Vec::new()).ensure(&self.digest(image), image, "blog/web", &self.lines).await
    }

    /// Its digest; whatever is built under it goes when the test ends.
    pub fn digest(&self, image: &Image) -> String {
        let digest = image_digest(image);
        self.removes(&scs_image::tag(&digest));
        digest
    }

    /// Removes an image when the test ends.
    pub fn removes(&self, reference: &str) {
        self.references.lock().expect("no panic").push(reference.to_owned());
    }

    /// What a container of the image prints; with its own command where none is given.
    pub async fn output(&self, image: &str, command: Option<&str>) -> String {
        let shell = |command: &str| vec!["/bin/sh".to_owned(), "-c".to_owned(), command.to_owned()];
        let request = Create {
            name: format!("scs-image-test-{}", unique()),
            image: image.to_owned(),
            entrypoint: command.map(shell),
            network: "none".to_owned(),
            ..Create::default()
        };
        let id = self.engine.create(&request).await.expect("created");
        let run = async {
            self.engine.start(&id).await?;
            let mut lines = self.engine.logs(&id, &Logs { follow: true, ..Logs::default() }).await?;
            let mut text = String::new();
            while let Some(line) = lines.next().await {
                text.push_str(&String::from_utf8_lossy(&line?.bytes));
                text.push('\n');
            }
            self.engine.wait(&id).await?;
            Ok::<_, scs_ports::engine::Error>(text)
        };
        let result = run.await;
        self.engine.remove(&id).await.expect("removed");
        result.expect("it ran")
    }

    /// Names of containers and ids of images that a build of this digest left.
    pub async fn left(&self, digest: &str) -> Vec<String> {
        let containers = self.engine.containers(&Labels::new()).await.expect("listed");
        let images = self.engine.images(&Labels::new()).await.expect("listed");
        let short = &digest[..16];
        let containers = containers.into_iter().map(|container| container.name).filter(|name| name.contains(short));
        let images = images.into_iter().filter(|image| {
            image.references.iter().any(|name| name.contains(short))
                || image.labels.values().any(|value| value == digest)
        });
        containers.chain(images.map(|image| image.id)).collect()
    }

    pub async fn wait_until_nothing_is_left(&self, digest: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.left(digest).await;
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still there: {left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn unique() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

impl Drop for World {
    fn drop(&mut self) {
        let engine = Arc::clone(&self.engine);
        let references = std::mem::take(&mut *self.references.lock().expect("no panic"));
        // The test's own runtime cannot be waited for in here.
        let clean = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let engine = match Docker::connect(None).await {
                    Ok(own) => Arc::new(own) as Arc<dyn Engine>,
                    Err(_) => engine,
                };
                for reference in references.iter().rev() {
                    let _ = engine.remove_image(reference).await;
                }
            });
        });
        let _ = clean.join();
    }
}
