//! etcd from Debian, over its own gRPC. The few messages are written out here, so that nobody needs `protoc`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{Request, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::{
    peer::{Peer, Provider, Subscriber},
    process::{self, Process},
};

pub struct Etcd;

/// Requests under way on one connection.
const IN_FLIGHT: usize = 256;

#[derive(Clone, PartialEq, Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
    #[prost(int64, tag = "3")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Done {}

#[derive(Clone, PartialEq, Message)]
struct Range {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Found {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(int64, tag = "3")]
    revision: i64,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Watch {
    #[prost(message, optional, tag = "1")]
    create: Option<Create>,
}

#[derive(Clone, PartialEq, Message)]
struct Create {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    range_end: Vec<u8>,
    #[prost(int64, tag = "3")]
    start_revision: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Told {
    #[prost(bool, tag = "3")]
    created: bool,
    #[prost(bool, tag = "4")]
    canceled: bool,
    #[prost(message, repeated, tag = "11")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(message, optional, tag = "2")]
    kv: Option<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Grant {
    #[prost(int64, tag = "1")]
    ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Granted {
    #[prost(int64, tag = "2")]
    id: i64,
}

#[async_trait]
impl Peer for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn version(&self) -> Result<String> {
        let output = Command::new("etcd").arg("--version").output().context("etcd cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or("?");
        Ok(format!("etcd {version} (one node, its log on disk)"))
    }

    fn start(&self) -> Result<Process> {
        let folder = tempfile::tempdir()?;
        let (client, peer) = (process::free()?, process::free()?);
        let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(folder.path())
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}"), "--log-level", "error"]);
        let server = Process::start(&mut command, client, Some(folder))?;
        Ok(server)
    }

    async fn provider(&self, server: &Process) -> Result<Box<dyn Provider>> {
        Ok(Box::new(Keys(connect(server).await?)))
    }

    async fn subscriber(&self, server: &Process, topic: &str, endpoints: usize) -> Result<Box<dyn Subscriber>> {
        let mut client = connect(server).await?;
        let (key, range_end) = prefix(topic);
        let range = Range { key: key.clone(), range_end: range_end.clone() };
        let found: Found = unary(&mut client, "/etcdserverpb.KV/Range", range).await?;
        if found.kvs.len() != endpoints {
            bail!("etcd: {} endpoints instead of {endpoints}", found.kvs.len());
        }
        let start_revision = found.header.map_or(0, |header| header.revision + 1);
        let create = Watch { create: Some(Create { key, range_end, start_revision }) };
        // The stream of requests must stay open, or the watch ends.
        let requests = stream::once(async { create }).chain(stream::pending());
        client.ready().await?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<Watch, Told>::default();
        let mut told = client.streaming(Request::new(requests), path, codec).await?.into_inner();
        let first = told.message().await?.context("etcd: no watch")?;
        if !first.created || first.canceled {
            bail!("etcd: the watch was refused");
        }
        Ok(Box::new(Watching { told, _client: client }))
    }
}

async fn connect(server: &Process) -> Result<Grpc<Channel>> {
    let channel = Channel::from_shared(format!("http://{}", server.address))?.tcp_nodelay(true).connect().await?;
    Ok(Grpc::new(channel))
}

async fn unary<Q, A>(client: &mut Grpc<Channel>, path: &'static str, question: Q) -> Result<A>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    client.ready().await?;
    let codec = ProstCodec::<Q, A>::default();
    Ok(client.unary(Request::new(question), PathAndQuery::from_static(path), codec).await?.into_inner())
}

/// Everything below a topic: first key, and first key after.
fn prefix(topic: &str) -> (Vec<u8>, Vec<u8>) {
    // '0' follows '/'.
    (format!("bench/{topic}/").into_bytes(), format!("bench/{topic}0").into_bytes())
}

fn put(topic: &str, instance: &str, port: u16) -> Put {
    let key = format!("bench/{topic}/{instance}").into_bytes();
    Put { key, value: crate::rows::value(topic, instance, port).into_bytes(), lease: 0 }
}

struct Keys(Grpc<Channel>);

#[async_trait]
impl Provider for Keys {
    async fn put(&mut self, topic: &str, instance: &str, port: u16) -> Result<()> {
        unary::<_, Done>(&mut self.0, "/etcdserverpb.KV/Put", put(topic, instance, port)).await.map(drop)
    }

    async fn put_many(&mut self, topic: &str, count: u32) -> Result<()> {
        let puts = (0..count).map(|number| {
            let (mut client, put) = (self.0.clone(), put(topic, &format!("i{number}"), 1));
            async move { unary::<_, Done>(&mut client, "/etcdserverpb.KV/Put", put).await }
        });
        stream::iter(puts).buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await
    }
}

struct Watching {
    told: Streaming<Told>,
    _client: Grpc<Channel>,
}

#[async_trait]
impl Subscriber for Watching {
    async fn next(&mut self) -> Result<()> {
        loop {
            let told = self.told.message().await?.context("etcd: the watch ended")?;
            if told.canceled {
                bail!("etcd: the watch was canceled");
            }
            if !told.events.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Puts a key under a lease of so many seconds that nobody will renew: a host that falls silent just after it was heard.
pub async fn silent(server: &Process, topic: &str, seconds: i64) -> Result<()> {
    let mut client = connect(server).await?;
    let granted: Granted = unary(&mut client, "/etcdserverpb.Lease/LeaseGrant", Grant { ttl: seconds }).await?;
    let put = Put { lease: granted.id, ..put(topic, "silent", 1) };
    unary::<_, Done>(&mut client, "/etcdserverpb.KV/Put", put).await.map(drop)
}
