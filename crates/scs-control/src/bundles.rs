//! Where the files of images' sources are kept between the command line that packs them and the build that reads them.

use crate::agents::ByteStream;
use async_trait::async_trait;
use scs_api::error::Problem;

/// A store of source bundles by digest (64 lower-case hexadecimal digits).
#[async_trait]
pub trait Bundles: Send + Sync + std::fmt::Debug {
    /// Whether it is there.
    async fn has(&self, digest: &str) -> Result<bool, Problem>;
    /// Its tar stream, or `None`.
    async fn get(&self, digest: &str) -> Result<Option<ByteStream>, Problem>;
    /// Keeps it, once its content has been found to have that digest.
    async fn put(&self, digest: &str, content: ByteStream) -> Result<(), Problem>;
}
