//! The manifests' tests through the public interface alone.

mod bad_connections;
mod bad_files;
mod bad_images;
mod fuzz;
mod good;
mod init;
mod properties;
mod schema;
mod support;
