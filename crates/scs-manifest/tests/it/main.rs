//! The manifests' tests through the public interface alone.

mod good;
mod support;
