//! Manifests: parse, merge, validate, resolve, digest. Knows texts and digests it is handed, never the file system.

pub mod compiled;
pub mod duration;
