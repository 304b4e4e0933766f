//! Caches of built images, by image digest. An optimisation: whatever goes wrong in one is said and gone around.

mod archive;
mod directory;

pub use directory::DirectoryCache;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::path::PathBuf;

/// The tar stream of `docker save`.
pub type Stream = BoxStream<'static, std::io::Result<Bytes>>;

/// A place that keeps images beyond one engine.
#[async_trait]
pub trait Cache: Send + Sync + std::fmt::Debug {
    /// What it is called in progress and warnings, e.g. its directory.
    fn name(&self) -> String;
    /// The image of a digest, its content proved whole; `None` if it is not there.
    async fn get(&self, digest: &str) -> Result<Option<Stream>, Error>;
    /// Takes in an image; the same digest twice is no error. Nothing is left of one that fails.
    async fn put(&self, digest: &str, image: Stream) -> Result<(), Error>;
}

/// Why a cache did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused, a full disk included.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A cached image is damaged or cut short; it was moved aside.
    #[error("the cached image {} was damaged ({message}) and has been moved to {}", path.display(), moved.display())]
    Corrupt {
        /// Where it was.
        path: PathBuf,
        /// Where it is now.
        moved: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// It cannot be asked now.
    #[error("it does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The image itself could not be read from the engine.
    #[error("cannot read the image from the engine")]
    Image(#[source] std::io::Error),
}
