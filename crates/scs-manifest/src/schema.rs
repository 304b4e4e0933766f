//! JSON Schemas of both manifests, and the manifest reference made of them.
//!
//! Written beside the parser, not derived from it: a test feeds both the same samples and thousands of mutations of them,
//! and fails where they disagree. What only compiling can know (does that role exist?) no schema says.

mod build;
mod deployment;
mod image;
mod methods;
mod reference;
mod shared;

pub use deployment::deployment;
pub use image::image;
pub use reference::reference;
