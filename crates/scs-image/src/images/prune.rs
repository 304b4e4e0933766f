//! Removing what nobody needs any more. Absence is an order here: the caller names what is kept.

use super::{DIGEST_LABEL, Images, blocking, remove_directory, tag};
use crate::{Error, lock};
use scs_ports::engine::{self, Labels, Progress};
use std::collections::BTreeSet;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Digests of the images that went.
    pub images: Vec<String>,
    /// Digests of images that stay because something else uses them.
    pub in_use: Vec<String>,
    /// How many bundles of sources went.
    pub bundles: usize,
    /// How many containers of killed builds went.
    pub containers: usize,
}

impl Images {
    /// Removes the images that this installation put into the engine and `keep` does not name by digest, the bundles that
    /// `sources` does not name, and what killed builds left. Caches keep what they have.
    pub async fn prune(
        &self,
        keep: &BTreeSet<String>,
        sources: &BTreeSet<String>,
        progress: &dyn Progress,
    ) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        for digest in self.recorded()? {
            if keep.contains(&digest) {
                continue;
            }
            match self.remove(&digest).await {
                Ok(()) => {
                    progress.line(&format!("removed image {}", tag(&digest)));
                    let path = self.records().join(&digest);
                    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                    pruned.images.push(digest);
                }
                Err(engine::Error::Conflict { .. }) => pruned.in_use.push(digest),
                Err(error) => return Err(Error::engine(format!("remove image {}", tag(&digest)))(error)),
            }
        }
        pruned.containers = self.remove_stale_builds().await?;
        let (bundles, sources) = (self.bundles.clone(), sources.clone());
        let failed = |source| Error::Source { title: "bundles".to_owned(), source };
        pruned.bundles = blocking(move || bundles.prune(&sources)).await.map_err(failed)?;
        Ok(pruned)
    }

    pub(super) fn recorded(&self) -> Result<Vec<String>, Error> {
        let directory = self.records();
        let listing = match std::fs::read_dir(&directory) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", directory)(error)),
        };
        Ok(listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Removes our tag, and the image with its last name; a pulled one stays under its own.
    async fn remove(&self, digest: &str) -> Result<(), engine::Error> {
        let label = self.engine.image(&tag(digest)).await?.and_then(|image| image.labels.get(DIGEST_LABEL).cloned());
        // Another image with the same first digits is not ours to remove.
        if label.is_some_and(|label| label != digest) {
            return Ok(());
        }
        self.engine.remove_image(&tag(digest)).await
    }

    /// Containers and files of builds whose process was killed: nobody holds their lock.
    ///
    /// # Errors
    /// When the engine does not list or remove them, or their files stay.
    pub async fn remove_stale_builds(&self) -> Result<usize, Error> {
        let prefix = self.container_prefix();
        let mut removed = 0;
        let containers = self.engine.containers(&Labels::new()).await.map_err(Error::engine("list containers"))?;
        for container in containers {
            let Some(digest) = container.name.strip_prefix(&prefix) else { continue };
            let Some(_lock) = lock::try_acquire(&self.locks(), &format!("image-{digest}"))? else { continue };
            let failed = Error::engine(format!("remove container {}", container.name));
            self.engine.remove(&container.id).await.map_err(failed)?;
            remove_directory(&self.state.join("builds").join(&container.name))?;
            removed += 1;
        }
        Ok(removed)
    }
}
