//! The network port: attaches a container to the world.

use crate::engine::{BoxError, Labels, Port};
use async_trait::async_trait;
use scs_manifest::compiled::Protocol;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One method of attaching containers (`bridge`, `host`, …).
#[async_trait]
pub trait NetworkProvisioner: Send + Sync + std::fmt::Debug {
    /// Makes ready what the container is attached to, and says how to attach it.
    async fn ensure(&self, request: &NetworkRequest) -> Result<Attachment, Error>;
    /// Returns what `ensure` took for this instance; what is shared stays.
    async fn release(&self, instance: &str) -> Result<(), Error>;
}

/// A container to attach.
#[derive(Debug, Clone)]
pub struct NetworkRequest {
    /// Run id of the container.
    pub instance: String,
    /// The ports it provides.
    pub ports: Vec<ProvidedPort>,
    /// The method's options, as the manifest gives them.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// Labels for what is made.
    pub labels: Labels,
}

/// A port a container provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvidedPort {
    /// Inside the container.
    pub container_port: u16,
    /// Transport.
    pub protocol: Protocol,
    /// A fixed host port.
    pub publish_port: Option<u16>,
    /// A further address of the host to bind.
    pub publish_address: Option<IpAddr>,
}

/// How a container is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The engine network: a bridge's name, `host` or `none`.
    pub network: String,
    /// What is bound on the host.
    pub ports: Vec<Port>,
    /// The address under which others reach the ports; with host networking the container's port is the announced one.
    pub announce: IpAddr,
    /// An IPv6 address under which others reach the ports too.
    pub announce_v6: Option<IpAddr>,
}

/// Why a container cannot be attached. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option of the method is wrong.
    #[error("option `{option}` of the network: {message}")]
    Option {
        /// The option.
        option: String,
        /// What is wrong.
        message: String,
    },
    /// Something outside failed.
    #[error("network: cannot {action}")]
    Failed {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
}
