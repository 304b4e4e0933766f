//! What the control plane asks of the disco server beside it: looking only.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use scs_api::error::Problem;
use scs_api::inspect::{Considered, EndpointChange, EndpointInfo, EndpointQuery};
use scs_manifest::compiled::Query;
use scs_plan::slot::Slot;

/// The registry of endpoints.
#[async_trait]
pub trait Discovery: Send + Sync + std::fmt::Debug {
    /// Address clients connect to.
    fn address(&self) -> String;
    /// Everything provided that the query matches, without regard to preference; by name.
    async fn list(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem>;
    /// What a subscriber with this requirement would be told, in order of preference.
    async fn resolve(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem>;
    /// Changes of what the query matches, after what is there now; ends only with the registry.
    async fn watch(&self, query: EndpointQuery) -> Result<BoxStream<'static, EndpointChange>, Problem>;
    /// How the registry sees one requirement of a slot: what was considered, chosen, told and applied.
    async fn explain(&self, subscriber: &Slot, requirement: &str, query: &Query) -> Result<Considered, Problem>;
}
