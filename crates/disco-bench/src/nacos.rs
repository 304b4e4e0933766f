//! r-nacos, where it has been installed (`cargo install rnacos`), over the gRPC of Nacos 2: JSON in two messages, written out here.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::uri::PathAndQuery;
use prost::Message;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};
use tonic::{Request, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

use crate::{
    peer::{Peer, Provider, Subscriber},
    process::{self, Process},
};

pub struct Nacos;

/// Requests under way on one connection.
const IN_FLIGHT: usize = 256;

/// How long a server that has just been started elects itself.
const START: Duration = Duration::from_secs(30);

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(string, tag = "3")]
    r#type: String,
}

#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Payload {
    fn new(r#type: &str, body: &Value) -> Self {
        let metadata = Metadata { r#type: r#type.to_owned() };
        Self { metadata: Some(metadata), body: Some(Body { value: body.to_string().into_bytes() }) }
    }

    fn r#type(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| &metadata.r#type)
    }

    fn json(&self) -> Result<Value> {
        let bytes = self.body.as_ref().map_or(&b"null"[..], |body| &body.value);
        serde_json::from_slice(bytes).context("r-nacos: it said something other than JSON")
    }
}

#[async_trait]
impl Peer for Nacos {
    fn name(&self) -> &'static str {
        "r-nacos"
    }

    fn version(&self) -> Result<String> {
        let output = Command::new("rnacos").arg("--version").output().context("rnacos cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(format!("r-nacos {}", text.split_whitespace().last().unwrap_or("?")))
    }

    fn start(&self) -> Result<Process> {
        let folder = tempfile::tempdir()?;
        let (http, grpc, console) = (process::free()?, process::free()?, process::free()?);
        let mut command = Command::new("rnacos");
        command
            .current_dir(folder.path())
            .env("RNACOS_DATA_DIR", folder.path())
            .env("RNACOS_SDK_HOST", "127.0.0.1")
            .env("RNACOS_HTTP_PORT", http.port().to_string())
            .env("RNACOS_GRPC_PORT", grpc.port().to_string())
            .env("RNACOS_HTTP_CONSOLE_PORT", console.port().to_string())
            // Clients that say nothing are not asked whether they live: that is not what is measured.
            .env("RNACOS_GRPC_DETECTION_TIMEOUT_SECOND", "600")
            .env("RUST_LOG", "error");
        Process::start(&mut command, grpc, Some(folder))
    }

    async fn provider(&self, server: &Process) -> Result<Box<dyn Provider>> {
        Ok(Box::new(Client::connect(server).await?))
    }

    async fn subscriber(&self, server: &Process, topic: &str, endpoints: usize) -> Result<Box<dyn Subscriber>> {
        let mut client = Client::connect(server).await?;
        let body = json!({
            "module": "naming", "headers": {}, "namespace": "public", "groupName": GROUP, "serviceName": topic,
            "subscribe": true, "clusters": "",
        });
        let answer = client.ask("SubscribeServiceRequest", &body).await?;
        client.known = hosts(&answer);
        if client.known.len() != endpoints {
            bail!("r-nacos: {} endpoints instead of {endpoints}", client.known.len());
        }
        Ok(Box::new(client))
    }
}

const GROUP: &str = "DEFAULT_GROUP";

/// One connection: questions, and a stream of what the server says by itself.
struct Client {
    grpc: Grpc<Channel>,
    told: Streaming<Payload>,
    say: mpsc::UnboundedSender<Payload>,
    /// What was told last: the server says it again now and then.
    known: Vec<Value>,
    /// The number of what was told and not acknowledged yet.
    open: Option<String>,
}

impl Client {
    async fn connect(server: &Process) -> Result<Self> {
        let channel = Channel::from_shared(format!("http://{}", server.address))?.tcp_nodelay(true).connect().await?;
        let mut grpc = Grpc::new(channel);
        let (say, said) = mpsc::unbounded_channel();
        let setup =
            json!({ "module": "internal", "headers": {}, "clientVersion": "bench", "tenant": "public", "labels": {} });
        say.send(Payload::new("ConnectionSetupRequest", &setup))?;
        let stream = stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
        grpc.ready().await?;
        let path = PathAndQuery::from_static("/BiRequestStream/requestBiStream");
        let codec = ProstCodec::<Payload, Payload>::default();
        let told = grpc.streaming(Request::new(stream), path, codec).await?.into_inner();
        Ok(Self { grpc, told, say, known: Vec::new(), open: None })
    }

    /// Asks, again while the server has not heard of this connection yet or elects itself.
    async fn ask(&mut self, r#type: &str, body: &Value) -> Result<Value> {
        let since = Instant::now();
        loop {
            let answer = unary(&mut self.grpc, Payload::new(r#type, body)).await?.json()?;
            if answer["resultCode"] == 200 {
                return Ok(answer);
            }
            if since.elapsed() > START {
                bail!("r-nacos refuses {type}: {answer}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn unary(grpc: &mut Grpc<Channel>, question: Payload) -> Result<Payload> {
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/Request/request");
    let codec = ProstCodec::<Payload, Payload>::default();
    Ok(grpc.unary(Request::new(question), path, codec).await?.into_inner())
}

/// The endpoints in an answer or in what is told, as far as they change.
fn hosts(said: &Value) -> Vec<Value> {
    let hosts = said["serviceInfo"]["hosts"].as_array();
    hosts.into_iter().flatten().map(|host| json!([host["instanceId"], host["weight"]])).collect()
}

/// An instance is its address and port; what is changed of it is its weight. It has no metadata: r-nacos keeps those as they were first said,
/// and stores all of a service's anew with each instance.
fn register(topic: &str, own_port: u32, port: u16) -> Value {
    json!({
        "module": "naming", "headers": {}, "namespace": "public", "groupName": GROUP, "serviceName": topic, "type": "registerInstance",
        "instance": {
            "ip": "192.0.2.11", "port": own_port, "weight": 1 + u32::from(port), "healthy": true, "enabled": true, "ephemeral": true,
            "clusterName": "DEFAULT", "serviceName": topic,
            "metadata": {},
        },
    })
}

/// A port for an instance's name, the same each time.
fn own_port(instance: &str) -> u32 {
    instance.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>().map_or(1, |number| number + 2)
}

#[async_trait]
impl Provider for Client {
    async fn put(&mut self, topic: &str, instance: &str, port: u16) -> Result<()> {
        self.ask("InstanceRequest", &register(topic, own_port(instance), port)).await.map(drop)
    }

    async fn put_many(&mut self, topic: &str, count: u32) -> Result<()> {
        // The first one waits until the server knows the connection.
        self.put(topic, "i0", 1).await?;
        let puts = (1..count).map(|number| {
            let mut grpc = self.grpc.clone();
            let question = Payload::new("InstanceRequest", &register(topic, number + 2, 1));
            async move {
                let answer = unary(&mut grpc, question).await?.json()?;
                if answer["resultCode"] != 200 {
                    bail!("r-nacos refuses an instance: {answer}");
                }
                Ok(())
            }
        });
        stream::iter(puts).buffer_unordered(IN_FLIGHT).try_for_each(|()| async { Ok(()) }).await
    }
}

#[async_trait]
impl Subscriber for Client {
    async fn next(&mut self) -> Result<()> {
        loop {
            let told = self.told.message().await?.context("r-nacos: the stream ended")?;
            if told.r#type() != "NotifySubscriberRequest" {
                continue;
            }
            let told = told.json()?;
            let hosts = hosts(&told);
            self.open = told["requestId"].as_str().map(str::to_owned);
            if hosts != self.known {
                self.known = hosts;
                return Ok(());
            }
            self.acknowledge().await?;
        }
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let Some(number) = self.open.take() else { return Ok(()) };
        let answer = json!({ "resultCode": 200, "errorCode": 0, "message": "", "requestId": number });
        Ok(self.say.send(Payload::new("NotifySubscriberResponse", &answer))?)
    }
}
