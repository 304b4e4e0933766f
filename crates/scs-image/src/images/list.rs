//! Which images are there.

use super::{DIGEST_LABEL, Images, tag};
use crate::Error;
use scs_ports::engine::Labels;
use std::collections::BTreeSet;

impl Images {
    /// Image digests whose images this engine has: by their label, and, of those that were pulled and carry none, by our tag.
    ///
    /// # Errors
    /// When the engine does not list its images, or our records cannot be read.
    pub async fn digests(&self) -> Result<BTreeSet<String>, Error> {
        let failed = Error::engine("list images");
        let images = self.engine.images(&Labels::new()).await.map_err(failed)?;
        let names: BTreeSet<&String> = images.iter().flat_map(|image| &image.references).collect();
        let labelled = images.iter().filter_map(|image| image.labels.get(DIGEST_LABEL).cloned());
        let tagged = self.recorded()?.into_iter().filter(|digest| names.contains(&tag(digest)));
        Ok(labelled.chain(tagged).collect())
    }
}
