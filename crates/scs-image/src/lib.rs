//! Images: sources, base systems, configurators, building, and the caches that find a build again.
//!
//! [`Images`] is the way in: `ensure` makes sure that an engine has the image of a digest. Sources come to it as bundles
//! ([`source::BundleStore`]), made by whoever reads the manifests.

pub mod base;
pub mod cache;
pub mod configurator;
mod error;
mod images;
pub mod lock;
mod script;
pub mod source;
mod tail;

pub use error::Error;
pub use images::{Built, DIGEST_LABEL, Images, MANIFEST_LABEL, Origin, Pruned, TITLE_LABEL, tag};
