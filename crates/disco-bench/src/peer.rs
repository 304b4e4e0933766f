//! What every discovery service can do, and each does in its own words.

use anyhow::Result;
use async_trait::async_trait;

use crate::process::Process;

/// A kind of server.
#[async_trait]
pub trait Peer {
    /// Its name in the table.
    fn name(&self) -> &'static str;
    /// What is measured, with its version.
    fn version(&self) -> Result<String>;
    /// Starts an empty one.
    fn start(&self) -> Result<Process>;
    /// A connection that will provide.
    async fn provider(&self, server: &Process) -> Result<Box<dyn Provider>>;
    /// A connection of its own that asks for a topic, and has these many endpoints of it.
    async fn subscriber(&self, server: &Process, topic: &str, endpoints: usize) -> Result<Box<dyn Subscriber>>;
}

/// Announces endpoints.
#[async_trait]
pub trait Provider: Send {
    /// Announces (or changes) one, and waits for the answer.
    async fn put(&mut self, topic: &str, instance: &str, port: u16) -> Result<()>;
    /// Announces so many as fast as the connection takes them, and waits for every answer.
    async fn put_many(&mut self, topic: &str, count: u32) -> Result<()>;
}

/// Is told of endpoints.
#[async_trait]
pub trait Subscriber: Send {
    /// The next change.
    async fn next(&mut self) -> Result<()>;
    /// Says that it was received, where that is the custom.
    async fn acknowledge(&mut self) -> Result<()> {
        Ok(())
    }
}
