//! The agent's images: found, fetched or built by the image service.

use super::bundles;
use super::peers::Peers;
use async_trait::async_trait;
use scs_agent::ports::{ImageError, Images};
use scs_control::bundles::Bundles as _;
use scs_manifest::compiled::{Role, Source};
use scs_ports::engine::Progress;
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

/// The image service, as the agent sees it.
#[derive(Debug, Clone)]
pub struct Service {
    /// The image service.
    pub images: Arc<scs_image::Images>,
    /// Where it takes sources from.
    pub bundles: scs_image::source::BundleStore,
    /// The other hosts of the cluster, where there are any.
    pub peers: Option<Arc<Peers>>,
}

#[async_trait]
impl Images for Service {
    async fn ensure(&self, role: &Role, origin: &Path, progress: &dyn Progress) -> Result<String, ImageError> {
        self.ensure_built(role, origin, progress).await.map(|built| built.image_id).map_err(|error| failed(role, error))
    }
}

impl Service {
    /// The image of a role, its source fetched where it is not here.
    ///
    /// # Errors
    /// Where it can be neither found nor built.
    pub async fn ensure_built(
        &self,
        role: &Role,
        origin: &Path,
        progress: &dyn Progress,
    ) -> Result<scs_image::Built, scs_image::Error> {
        let ensure = || self.images.ensure(&role.image_digest, &role.image, &role.name, progress);
        let built = match ensure().await {
            // The bundle of a source may have been pruned, or was never here.
            Err(error) if lacks_source(&error) && self.get_source(role, origin).await => ensure().await,
            ensured => ensured,
        };
        if let Some(peers) = &self.peers {
            peers.release(&role.image_digest).await;
        }
        built
    }

    async fn get_source(&self, role: &Role, origin: &Path) -> bool {
        let (Some(peers), Some(digest)) = (&self.peers, &role.image.source_digest) else {
            return self.read_again(role, origin).await;
        };
        let kept = match peers.bundle(digest).await {
            Ok(content) => bundles::Store(self.bundles.clone()).put(digest, content).await,
            Err(error) => Err(error.into()),
        };
        if let Err(problem) = &kept {
            tracing::warn!(%problem, role = role.name, "the source is not to be had from the server");
        }
        kept.is_ok()
    }

    /// Bundles the source from where the manifest says it is, if that is still what was compiled.
    async fn read_again(&self, role: &Role, origin: &Path) -> bool {
        let (Source::Path(path), Some(digest)) = (&role.image.source, role.image.source_digest.clone()) else {
            return false;
        };
        let (directory, bundles) = (origin.join(path), self.bundles.clone());
        let again = tokio::task::spawn_blocking(move || {
            let tree = scs_image::source::scan(&directory, &scs_image::source::Options::default()).ok()?;
            (tree.digest == digest).then(|| bundles.put(&tree).ok()).flatten()
        });
        again.await.ok().flatten().is_some()
    }
}

fn lacks_source(error: &scs_image::Error) -> bool {
    matches!(error, scs_image::Error::Source { source: scs_image::source::Error::Missing { .. }, .. })
}

fn failed(role: &Role, error: scs_image::Error) -> ImageError {
    let output = match &error {
        scs_image::Error::Build { output, .. } => output.clone(),
        _ => error.source().and_then(|source| source.downcast_ref::<scs_ports::engine::Error>()).map_or_else(
            Vec::new,
            |error| match error {
                scs_ports::engine::Error::Build { output, .. } => output.clone(),
                _ => Vec::new(),
            },
        ),
    };
    ImageError { role: role.name.clone(), output, source: error.into() }
}
