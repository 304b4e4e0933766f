//! Finished images: a reference, nothing added. They get our tag, so that they are found by digest like the others and do
//! not change when the reference comes to mean another image.

use super::tag;
use crate::{Error, base};
use scs_manifest::compiled::{Base, Configurator, Image, Source};
use scs_ports::engine::{self, Engine, Progress};

/// The reference of an image that is nothing else.
pub(super) fn reference(image: &Image) -> Option<&str> {
    let settings = image.command.is_some() || image.entrypoint.is_some() || image.user.is_some();
    match (&image.source, &image.base, &image.configurator) {
        _ if settings => None,
        (_, Base::Reference(reference), Configurator::None) => Some(reference),
        (Source::Reference(reference), Base::None, Configurator::None) => Some(reference),
        _ => None,
    }
}

pub(super) async fn ensure(
    engine: &dyn Engine,
    digest: &str,
    reference: &str,
    progress: &dyn Progress,
) -> Result<engine::Image, Error> {
    let image = base::find_or_pull(engine, reference, progress).await.map_err(|error| match error {
        base::Error::Engine { action, source } => Error::Engine { action, source },
        other => Error::Base { title: reference.to_owned(), source: Box::new(other) },
    })?;
    engine.tag(reference, &tag(digest)).await.map_err(Error::engine(format!("tag {reference}")))?;
    Ok(image)
}
