//! What the agent asks of the world beside the engine and the provisioners: images and discovery.

use async_trait::async_trait;
use disco_client::{EndpointSet, Name, Provision, Query, Withdraw};
use scs_manifest::compiled::Role;
use scs_ports::engine::{BoxError, Engine, Progress};
use scs_ports::network::NetworkProvisioner;
use scs_ports::volume::VolumeProvisioner;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Everything outside that an agent works with.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The container engine.
    pub engine: Arc<dyn Engine>,
    /// Volume provisioners by method.
    pub volumes: BTreeMap<String, Arc<dyn VolumeProvisioner>>,
    /// Network provisioners by method.
    pub networks: BTreeMap<String, Arc<dyn NetworkProvisioner>>,
    /// Images.
    pub images: Arc<dyn Images>,
    /// Discovery.
    pub discovery: Arc<dyn Discovery>,
}

/// Gets images ready.
#[async_trait]
pub trait Images: Send + Sync + std::fmt::Debug {
    /// Finds the image of a role on this host or elsewhere, or builds it; gives its id in the engine. `origin` is the directory
    /// against which the user's relative paths count.
    async fn ensure(&self, role: &Role, origin: &Path, progress: &dyn Progress) -> Result<String, ImageError>;
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[error("no image for {role}")]
pub struct ImageError {
    /// The role.
    pub role: String,
    /// Last lines of a build's output.
    pub output: Vec<String>,
    /// Why.
    #[source]
    pub source: BoxError,
}

/// The discovery service, as one session of this agent.
#[async_trait]
pub trait Discovery: Send + Sync + std::fmt::Debug {
    /// Announces an endpoint, or changes it. It is announced again after every reconnect.
    async fn provide(&self, provision: Provision) -> Result<(), BoxError>;
    /// Withdraws an endpoint; gives the subscribers that had not applied it in time.
    async fn withdraw(&self, name: &Name, instance: &str, how: Withdraw) -> Result<Vec<String>, BoxError>;
    /// Subscribes under an id that stays the same from one start of the agent to the next.
    fn require(&self, id: &str, query: Query) -> Box<dyn Subscription>;
    /// Endpoints of a former run of this agent that it has neither provided nor withdrawn since. Fails
    /// while there is no session.
    async fn inherited(&self) -> Result<Vec<(Name, String)>, BoxError>;
    /// Says that the agent is away for at most so long, on purpose.
    async fn park(&self, pause: Duration);
}

/// A subscription; dropping it ends it.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// The latest set.
    fn current(&mut self) -> EndpointSet;
    /// Waits for a set that was not seen yet.
    async fn changed(&mut self) -> EndpointSet;
    /// Says that the set of this `seq` is worked with.
    async fn applied(&self, seq: u64);
}

#[async_trait]
impl Discovery for disco_client::Handle {
    async fn provide(&self, provision: Provision) -> Result<(), BoxError> {
        Ok(disco_client::Handle::provide(self, provision).await?)
    }

    async fn withdraw(&self, name: &Name, instance: &str, how: Withdraw) -> Result<Vec<String>, BoxError> {
        Ok(disco_client::Handle::withdraw(self, name, instance, how).await?.unapplied)
    }

    fn require(&self, id: &str, query: Query) -> Box<dyn Subscription> {
        Box::new(disco_client::Handle::require(self, id, query, Vec::new()))
    }

    async fn inherited(&self) -> Result<Vec<(Name, String)>, BoxError> {
        let identities = disco_client::Handle::inherited(self).await?;
        Ok(identities.into_iter().map(|identity| (identity.name, identity.instance)).collect())
    }

    async fn park(&self, pause: Duration) {
        if let Err(error) = disco_client::Handle::park(self, pause).await {
            tracing::debug!(%error, "the session could not be parked; it lasts for its window");
        }
    }
}

#[async_trait]
impl Subscription for disco_client::Subscription {
    fn current(&mut self) -> EndpointSet {
        disco_client::Subscription::current(self)
    }

    async fn changed(&mut self) -> EndpointSet {
        disco_client::Subscription::changed(self).await
    }

    async fn applied(&self, seq: u64) {
        disco_client::Subscription::applied(self, seq).await;
    }
}
