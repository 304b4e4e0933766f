//! Manifests: parse, merge, validate, resolve, digest. Knows texts and digests it is handed, never the file system.
//!
//! The way through: [`merge::load`] parses the base and its overlays into one tree; [`deployment::sources`] says whose
//! `image.yaml` to look up; [`compile::compile`] makes the [`compiled`] form of every role, or says all that is wrong.

pub mod compile;
pub mod compiled;
pub mod deployment;
pub mod diagnostic;
pub mod digest;
pub mod duration;
pub mod image;
pub mod init;
pub mod merge;
mod reader;
pub mod schema;
pub mod show;
pub mod size;
pub mod source;
pub mod template;
pub mod tree;
mod yaml;

pub use compile::{ImageInput, Request, compile};
pub use diagnostic::{Diagnostic, Severity, render};
pub use merge::{Tree, load};
pub use reader::Spanned;
pub use source::{File, Span};
