//! Images: sources, base systems, configurators, building, and the caches that find a build again.

pub mod cache;
pub mod configurator;
pub mod lock;
pub mod source;
mod tail;
