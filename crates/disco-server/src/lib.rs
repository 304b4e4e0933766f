//! The discovery server: listeners and connection tasks around the pure core.
//!
//! One task owns the core; every connection has a task of its own that cuts bytes into messages and back. They speak through
//! channels only.

mod connection;
mod handle;
mod registry;
mod service;

pub use disco_core::{ProvisionView, RegistryView, RequirementView, SessionView, Verdict};
pub use handle::{Ended, Handle};
pub use service::{Error, Options, Service};
