//! What a control plane finds beside the agents: a registry and a store of bundles.

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use scs_api::error::{Code, Problem};
use scs_api::inspect::{Candidate, Considered, EndpointChange, EndpointInfo, EndpointQuery};
use scs_control::agents::ByteStream;
use scs_control::bundles::Bundles;
use scs_control::discovery::Discovery;
use scs_manifest::compiled::Query;
use scs_plan::slot::Slot;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

/// A registry that knows one thing.
#[derive(Debug)]
pub struct Registry;

fn endpoint() -> EndpointInfo {
    EndpointInfo {
        name: "dev/blog/mysql/mysql".to_owned(),
        instance: "run-1".to_owned(),
        address: "192.0.2.1:3306".to_owned(),
        protocol: "tcp".to_owned(),
        attributes: BTreeMap::new(),
        health: "passing".to_owned(),
        suspect: false,
    }
}

#[async_trait]
impl Discovery for Registry {
    fn address(&self) -> String {
        "127.0.0.1:9640".to_owned()
    }

    async fn list(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        let known = endpoint();
        Ok(if query.environment.as_deref().is_none_or(|it| it == "dev") { vec![known] } else { Vec::new() })
    }

    async fn resolve(&self, query: EndpointQuery) -> Result<Vec<EndpointInfo>, Problem> {
        self.list(query).await
    }

    async fn watch(&self, _query: EndpointQuery) -> Result<BoxStream<'static, EndpointChange>, Problem> {
        let present = EndpointChange {
            change: "present".to_owned(),
            endpoint: endpoint(),
            reason: None,
            at: SystemTime::UNIX_EPOCH,
        };
        Ok(stream::iter([present]).chain(stream::pending()).boxed())
    }

    async fn explain(&self, _subscriber: &Slot, _requirement: &str, query: &Query) -> Result<Considered, Problem> {
        let candidate = Candidate {
            name: format!("{}/{}/{}/{}", query.environment, query.service, query.role, query.endpoint),
            address: "192.0.2.1:3306".to_owned(),
            chosen: true,
            reason: "it matches".to_owned(),
        };
        Ok(Considered {
            told: vec!["192.0.2.1:3306".to_owned()],
            candidates: vec![candidate],
            pushed: Some(SystemTime::UNIX_EPOCH),
            applied: Some(true),
        })
    }
}

/// Bundles in memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Bundles for Memory {
    async fn has(&self, digest: &str) -> Result<bool, Problem> {
        Ok(self.0.lock().expect("whole").contains_key(digest))
    }

    async fn get(&self, digest: &str) -> Result<Option<ByteStream>, Problem> {
        let found = self.0.lock().expect("whole").get(digest).cloned();
        Ok(found.map(|it| stream::iter([Ok(it.into())]).boxed()))
    }

    async fn put(&self, digest: &str, mut content: ByteStream) -> Result<(), Problem> {
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| Problem::of(Code::Internal, &error))?);
        }
        self.0.lock().expect("whole").insert(digest.to_owned(), bytes);
        Ok(())
    }
}
