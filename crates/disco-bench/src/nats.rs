//! NATS with JetStream's key-value store in memory, from Debian.

use std::process::Command;

use anyhow::{Context, Result, anyhow};
use async_nats::jetstream::{self, kv};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    peer::{Peer, Provider, Subscriber},
    process::{self, Process},
};

pub struct Nats;

/// Requests under way on one connection.
const IN_FLIGHT: usize = 256;

/// The stream behind a bucket, as NATS names it.
const STREAM: &str = "KV_bench";

#[async_trait]
impl Peer for Nats {
    fn name(&self) -> &'static str {
        "NATS KV"
    }

    fn version(&self) -> Result<String> {
        let output = Command::new("nats-server").arg("--version").output().context("nats-server cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.trim().rsplit(['v', ' ']).next().unwrap_or("?").to_owned();
        Ok(format!("NATS {version} (JetStream KV, in memory)"))
    }

    fn start(&self) -> Result<Process> {
        let folder = tempfile::tempdir()?;
        let address = process::free()?;
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &address.port().to_string(), "-js", "-sd"]).arg(folder.path());
        Process::start(&mut command, address, Some(folder))
    }

    async fn provider(&self, server: &Process) -> Result<Box<dyn Provider>> {
        let context = jetstream::new(connect(server).await?);
        // Debian's server is older than what `create_key_value` expects; this is what it would make.
        let config = jetstream::stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["$KV.bench.>".to_owned()],
            max_messages_per_subject: 1,
            storage: jetstream::stream::StorageType::Memory,
            allow_rollup: true,
            allow_direct: true,
            ..Default::default()
        };
        context.get_or_create_stream(config).await?;
        let bucket = context.get_key_value("bench").await?;
        Ok(Box::new(Keys { context, bucket }))
    }

    async fn subscriber(&self, server: &Process, topic: &str, endpoints: usize) -> Result<Box<dyn Subscriber>> {
        let context = jetstream::new(connect(server).await?);
        let bucket = context.get_key_value("bench").await?;
        let keys = format!("{topic}.>");
        let watch = if endpoints > 0 { bucket.watch_with_history(keys).await? } else { bucket.watch(keys).await? };
        let mut watching = Watching { watch, _bucket: bucket };
        for _ in 0..endpoints {
            watching.next().await?;
        }
        Ok(Box::new(watching))
    }
}

async fn connect(server: &Process) -> Result<async_nats::Client> {
    async_nats::connect(server.address.to_string()).await.context("NATS: cannot connect")
}

struct Keys {
    context: jetstream::Context,
    bucket: kv::Store,
}

#[async_trait]
impl Provider for Keys {
    async fn put(&mut self, topic: &str, instance: &str, port: u16) -> Result<()> {
        let value = crate::rows::value(topic, instance, port);
        self.bucket.put(format!("{topic}.{instance}"), value.into()).await?;
        Ok(())
    }

    async fn put_many(&mut self, topic: &str, count: u32) -> Result<()> {
        let puts = (0..count).map(|number| {
            let (context, instance) = (self.context.clone(), format!("i{number}"));
            let subject = format!("$KV.bench.{topic}.{instance}");
            let value = crate::rows::value(topic, &instance, 1);
            async move {
                let acknowledged = context.publish(subject, value.into()).await?;
                acknowledged.await.map_err(|error| anyhow!("NATS: {error}"))
            }
        });
        stream::iter(puts).buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await
    }
}

struct Watching {
    watch: kv::Watch,
    _bucket: kv::Store,
}

#[async_trait]
impl Subscriber for Watching {
    async fn next(&mut self) -> Result<()> {
        self.watch.next().await.context("NATS: the watch ended")?.map(drop).map_err(|error| anyhow!("NATS: {error}"))
    }
}
