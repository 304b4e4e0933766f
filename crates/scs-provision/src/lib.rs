//! Volumes and networks of a host: the methods that need nothing but the host and its container engine.
//!
//! [`volumes`] and [`networks`] give registries with the methods by the name that a manifest uses. Nothing here knows
//! manifests, roles or desired state: it is told an id, whether that was seen before, and a method's options.

pub mod cleanup;
pub mod helper;
pub mod network;
mod options;
mod registry;
pub mod volume;

pub use network::networks;
pub use registry::{Registry, UnknownMethod};
pub use volume::volumes;

use scs_ports::engine::Engine;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The bridge that all installations on an engine share, unless told otherwise: containers on different bridges may be cut
/// off from each other.
pub const BRIDGE: &str = "scs";

/// The host that the methods work on.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its container engine.
    pub engine: Arc<dyn Engine>,
    /// Where the installation keeps its state; volumes lie in `volumes/` below it.
    pub state: PathBuf,
    /// Name of the engine's bridge network; [`BRIDGE`] if in doubt.
    pub bridge: String,
    /// The address under which other hosts reach this one. Without it, the bridge's gateway is announced, which is reached
    /// from this machine and its containers only.
    pub advertise: Option<IpAddr>,
}
