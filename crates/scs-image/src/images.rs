//! The image service: finds an image by its digest, in this engine, then in each cache, and builds it otherwise.

mod build;
mod list;
mod plain;
mod prune;
mod turns;

pub use prune::Pruned;

use crate::base::Tools;
use crate::cache::Cache;
use crate::source::BundleStore;
use crate::{Error, lock};
use scs_manifest::compiled::Image;
use scs_ports::engine::{self, Engine, Progress};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use turns::Turns;

/// Label with the whole image digest.
pub const DIGEST_LABEL: &str = "scs.image-digest";
/// Label with the compiled image as JSON.
pub const MANIFEST_LABEL: &str = "scs.manifest";
/// Label with the image's title.
pub const TITLE_LABEL: &str = "scs.title";
/// Repository of the tags that images are found by.
const REPOSITORY: &str = "scs-image";

/// An image that is in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its id in the engine.
    pub image_id: String,
    /// Where it came from.
    pub origin: Origin,
    /// How long that took.
    pub took: Duration,
}

/// Where an image came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The engine had it.
    Found,
    /// A cache of this name had it.
    Cache(String),
    /// It was built.
    Built,
    /// It was pulled from its registry.
    Pulled,
}

/// The image service of one engine. Cheap to share: methods take `&self` and may run at once.
#[derive(Debug)]
pub struct Images {
    engine: Arc<dyn Engine>,
    bundles: BundleStore,
    caches: Vec<Arc<dyn Cache>>,
    state: PathBuf,
    tools: Tools,
    turns: Turns,
}

/// The name under which an image lies in the engine. 16 digits are enough to find it; the label holds them all.
#[must_use]
pub fn tag(digest: &str) -> String {
    format!("{REPOSITORY}:{}", digest.get(..16).unwrap_or(digest))
}

impl Images {
    /// The service of this engine. Sources are taken from `bundles`, caches are asked in their order; locks, records and
    /// what a build needs for a moment lie in `state`, a directory of this installation alone.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Engine>,
        bundles: BundleStore,
        caches: Vec<Arc<dyn Cache>>,
        state: impl Into<PathBuf>,
    ) -> Self {
        Images { engine, bundles, caches, state: state.into(), tools: Tools::here(), turns: Turns::default() }
    }

    /// The image of a digest, if this engine has it.
    pub async fn find(&self, digest: &str) -> Result<Option<engine::Image>, Error> {
        let failed = |error| Error::engine(format!("look for image {}", tag(digest)))(error);
        let image = self.engine.image(&tag(digest)).await.map_err(failed)?;
        // A plain reference carries no label of ours.
        if let Some(image) = image.filter(|image| image.labels.get(DIGEST_LABEL).is_none_or(|label| label == digest)) {
            return Ok(Some(image));
        }
        let labels = engine::Labels::from([(DIGEST_LABEL.to_owned(), digest.to_owned())]);
        let mut images = self.engine.images(&labels).await.map_err(failed)?;
        images.sort_by_key(|image| image.created);
        Ok(images.pop())
    }

    /// Makes sure that this engine has the image of a digest. Calls for one digest, in this process and in others of this
    /// installation, build it once. `title` says whose image it is, in progress and errors.
    pub async fn ensure(
        &self,
        digest: &str,
        image: &Image,
        title: &str,
        progress: &dyn Progress,
    ) -> Result<Built, Error> {
        let started = Instant::now();
        let built = |image: engine::Image, origin| Built { image_id: image.id, origin, took: started.elapsed() };
        if let Some(found) = self.find(digest).await? {
            return Ok(built(found, Origin::Found));
        }
        let turn = self.turns.take(digest).await;
        if let Some(failure) = turn.failure() {
            return Err(failure);
        }
        let made = self.make(digest, image, title, progress).await;
        if let Err(error) = &made {
            turn.fail(error);
        }
        made.map(|(image, origin)| built(image, origin))
    }

    async fn make(
        &self,
        digest: &str,
        image: &Image,
        title: &str,
        progress: &dyn Progress,
    ) -> Result<(engine::Image, Origin), Error> {
        let name = format!("image-{}", digest.get(..16).unwrap_or(digest));
        let _lock = lock::acquire(&self.locks(), &name, progress).await?;
        if let Some(found) = self.find(digest).await? {
            return Ok((found, Origin::Found));
        }
        self.check_platform(image, title).await?;
        if let Some(reference) = plain::reference(image) {
            let image = plain::ensure(self.engine.as_ref(), digest, reference, progress).await?;
            self.record(digest)?;
            return Ok((image, Origin::Pulled));
        }
        for cache in &self.caches {
            if let Some(image) = self.cached(cache.as_ref(), digest, title, progress).await {
                self.record(digest)?;
                return Ok((image, Origin::Cache(cache.name())));
            }
        }
        let image = self.build(digest, image, title, progress).await?;
        self.record(digest)?;
        for cache in &self.caches {
            self.offer(cache.as_ref(), digest, progress).await;
        }
        Ok((image, Origin::Built))
    }

    async fn check_platform(&self, image: &Image, title: &str) -> Result<(), Error> {
        let engine = self.engine.info().await.map_err(Error::engine("ask the engine for its platform"))?.platform;
        if image.platform == engine {
            return Ok(());
        }
        Err(Error::Platform { title: title.to_owned(), wanted: image.platform.clone(), engine })
    }

    /// The image out of a cache; whatever goes wrong there is said, and the image counts as absent.
    async fn cached(
        &self,
        cache: &dyn Cache,
        digest: &str,
        title: &str,
        progress: &dyn Progress,
    ) -> Option<engine::Image> {
        let stream = match cache.get(digest).await {
            Ok(stream) => stream?,
            Err(error) => {
                warn(progress, &format!("{} is passed over", cache.name()), &error);
                return None;
            }
        };
        progress.line(&format!("loading the image of {title} from {}", cache.name()));
        let loaded = match self.engine.load(stream).await {
            Ok(()) => self.find(digest).await,
            Err(error) => Err(Error::engine("load the image")(error)),
        };
        match loaded {
            Ok(Some(image)) => Some(image),
            Ok(None) => {
                progress.line(&format!("warning: what {} has is another image; it is passed over", cache.name()));
                None
            }
            Err(error) => {
                warn(progress, &format!("{} is passed over", cache.name()), &error);
                None
            }
        }
    }

    /// Gives a cache the image that was built. A cache that cannot take it costs the next build, not this one.
    async fn offer(&self, cache: &dyn Cache, digest: &str, progress: &dyn Progress) {
        let put = match self.engine.save(&tag(digest)).await {
            Ok(stream) => cache.put(digest, stream).await.map_err(|error| Box::new(error) as engine::BoxError),
            Err(error) => Err(error.into()),
        };
        match put {
            Ok(()) => progress.line(&format!("kept the image in {}", cache.name())),
            Err(error) => warn(progress, &format!("the image is not kept in {}", cache.name()), error.as_ref()),
        }
    }

    fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    fn records(&self) -> PathBuf {
        self.state.join("images")
    }

    /// Notes that this installation put the image there: [`Images::prune`] touches no other.
    fn record(&self, digest: &str) -> Result<(), Error> {
        let directory = self.records();
        std::fs::create_dir_all(&directory).map_err(Error::io("make", &directory))?;
        let path = directory.join(digest);
        std::fs::write(&path, "").map_err(Error::io("write", &path))
    }

    /// What tells containers of our builds from those of another installation on the same engine.
    fn installation(&self) -> String {
        let path = std::path::absolute(&self.state).unwrap_or_else(|_| self.state.clone());
        let hash: [u8; 32] = sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new(),
            path.as_os_str().as_encoded_bytes(),
        ))
        .into();
        crate::source::hex(&hash[..4])
    }
}

fn warn(progress: &dyn Progress, what: &str, error: &dyn std::error::Error) {
    let mut text = format!("warning: {what}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    progress.line(&text);
}

/// Work on files, off the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on files does not panic")
}

fn remove_directory(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}
