//! The control plane: desired state, secrets, HTTP API, and orchestration.
//!
//! [`Service`] owns the tasks, [`Handle`] is how it is asked, and [`agents::Agent`], [`agents::Connect`], [`discovery::Discovery`] and
//! [`bundles::Bundles`] are what it asks in turn; whoever wires a program implements them.

mod access;
pub mod admission;
pub mod agents;
pub mod api;
mod audit;
pub mod bundles;
pub mod discovery;
mod fleet;
mod hosts;
mod images;
mod inspect;
mod joining;
mod locks;
mod orchestrate;
mod progress;
mod service;
mod state;
pub mod store;
pub mod trust;
mod vault;

pub use inspect::{InstanceQuery, Partial};
pub use orchestrate::{EventStream, RoleAction};
pub use service::{Error, Handle, LEASE, Options, Ports, Service};
pub use state::Error as StateError;
pub use vault::Error as VaultError;
