//! The discovery server: listeners and connection tasks around the pure core.
//!
//! One task owns the core; every connection has a task of its own that cuts bytes into messages and back. They speak through
//! channels only.

mod accept;
mod admission;
mod admit;
mod connection;
mod direct;
mod handle;
pub mod http;
mod registry;
mod service;
mod store;
mod traffic;
mod watch;

pub use admission::Admission;
pub use admit::{Admit, Holder, Revoked};
pub use disco_core::{
    BrakeOptions, Filter, Grants, Limits, Observed, Permit, ProvisionView, RegistryView, RequirementView, Scope,
    SessionView, Stats, Verdict, What,
};
pub use handle::{Ended, Handle};
pub use service::{Error, Options, Service};
pub use traffic::Traffic;
pub use watch::{Changes, Missed, Present};
