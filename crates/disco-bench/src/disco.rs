//! The disco server, and as little of a client as can be measured with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use clap::Args;
use disco_proto::{
    Message, Method, Name, PROTOCOL, Provision, Query, encode,
    message::{Open, Park, Require},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken};

use crate::{
    peer::{Peer, Provider, Subscriber},
    process::{self, Process},
    tls::{self, Certificates, Connector},
};

/// How the measured server is started.
#[derive(Args)]
pub struct Serve {
    #[arg(long)]
    listen: SocketAddr,
    /// Milliseconds for which nothing is dropped after its start
    #[arg(long, default_value_t = 0)]
    hold: u64,
    /// Keeps who is there in this file over a restart
    #[arg(long)]
    snapshot: Option<PathBuf>,
    /// Asks for TLS with what lies in this directory
    #[arg(long)]
    certificates: Option<PathBuf>,
}

/// Serves until it is ended.
pub fn serve(options: &Serve) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut server = disco_server::Options::new(options.listen);
        server.hold = Duration::from_millis(options.hold);
        // Sessions outlive the process, as with `scs server`, which keeps its secret in a file.
        server.secret = Some([7; 32]);
        server.snapshot.clone_from(&options.snapshot);
        server.tls = options.certificates.as_deref().map(tls::server).transpose()?;
        let service = disco_server::Service::bind(server).await?;
        service.run(CancellationToken::new()).await;
        Ok(())
    })
}

/// The server as it is on loopback, or as it is everywhere else.
#[derive(Clone, Default)]
pub struct Disco {
    pub certificates: Option<Arc<Certificates>>,
}

impl Disco {
    /// The one that asks for certificates.
    pub fn secured() -> Result<Self> {
        Ok(Self { certificates: Some(Arc::new(Certificates::make()?)) })
    }

    /// The server at an address, with a hold, and perhaps a file that outlives it.
    pub fn start_at(&self, address: SocketAddr, hold: Duration, snapshot: Option<&Path>) -> Result<Process> {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", &address.to_string(), "--hold", &hold.as_millis().to_string()]);
        if let Some(snapshot) = snapshot {
            command.arg("--snapshot").arg(snapshot);
        }
        if let Some(certificates) = &self.certificates {
            command.arg("--certificates").arg(certificates.server());
        }
        Process::start(&mut command, address, None)
    }

    /// What one more client connects with.
    pub fn connector(&self) -> Option<Connector> {
        self.certificates.as_deref().map(Certificates::connector)
    }
}

#[async_trait]
impl Peer for Disco {
    fn name(&self) -> &'static str {
        if self.certificates.is_some() { "disco, TLS" } else { "disco" }
    }

    fn version(&self) -> Result<String> {
        Ok(format!("disco {}", env!("CARGO_PKG_VERSION")))
    }

    fn start(&self) -> Result<Process> {
        self.start_at(process::free()?, Duration::ZERO, None)
    }

    async fn provider(&self, server: &Process) -> Result<Box<dyn Provider>> {
        Ok(Box::new(Client::open(server.address, self.connector().as_ref(), "provider", None).await?.0))
    }

    async fn subscriber(&self, server: &Process, topic: &str, endpoints: usize) -> Result<Box<dyn Subscriber>> {
        let (mut client, _) = Client::open(server.address, self.connector().as_ref(), "subscriber", None).await?;
        let answer = client.require(topic, Default::default()).await?;
        let found = answer.matches("\"instance\":").count();
        if found != endpoints {
            bail!("disco: {found} endpoints instead of {endpoints}");
        }
        // It says nothing more until everyone has joined, which with TLS takes longer than silence is suffered.
        client.ask(Method::Park(Park { r#for: 60_000 })).await?;
        Ok(Box::new(client))
    }
}

/// One connection that says lines and hears lines.
pub struct Client {
    stream: BufReader<Either<TcpStream, TlsStream<TcpStream>>>,
    number: u64,
    /// Bytes, because a broken off `read_until` loses none of them.
    line: Vec<u8>,
    /// The request of the server that is not answered yet.
    told: Option<String>,
}

impl Client {
    /// Connects and opens a session, perhaps again; returns the answer, too.
    pub async fn open(
        address: SocketAddr,
        tls: Option<&Connector>,
        agent: &str,
        resume: Option<disco_proto::message::Resume>,
    ) -> Result<(Self, String)> {
        let stream = TcpStream::connect(address).await.context("disco: cannot connect")?;
        stream.set_nodelay(true)?;
        let stream = match tls {
            Some(tls) => Either::Right(tls.connect(stream).await.context("disco: the handshake failed")?),
            None => Either::Left(stream),
        };
        // Small buffers: thousands of these must not be what is measured.
        let mut client =
            Self { stream: BufReader::with_capacity(4096, stream), number: 0, line: Vec::new(), told: None };
        // A certificate says which host its holder is.
        let host = if tls.is_some() { tls::HOST } else { agent };
        let attributes = [("host".to_owned(), host.to_owned())].into();
        let open = Open { protocol: PROTOCOL.to_owned(), agent: agent.to_owned(), attributes, window: None, resume };
        let answer = client.ask(Method::Open(open)).await?;
        Ok((client, answer))
    }

    fn request(&mut self, method: Method) -> Vec<u8> {
        self.number += 1;
        let mut line = Vec::with_capacity(256);
        encode(&Message::Call { id: Some(self.number.into()), method }, &mut line);
        line
    }

    /// Says it whole: TLS may keep some of it until it is told to let go.
    async fn say(&mut self, line: &[u8]) -> Result<()> {
        self.stream.write_all(line).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next line. May be broken off and called again.
    async fn hear(&mut self) -> Result<&str> {
        if self.line.ends_with(b"\n") {
            self.line.clear();
        }
        if self.stream.read_until(b'\n', &mut self.line).await.context("disco: the connection broke")? == 0 {
            bail!("disco: the server closed the connection");
        }
        std::str::from_utf8(&self.line).context("disco: the server said something other than text")
    }

    /// Says a line and waits for its answer; what is told meanwhile is acknowledged.
    pub async fn ask(&mut self, method: Method) -> Result<String> {
        let line = self.request(method);
        self.say(&line).await?;
        loop {
            let line = self.hear().await?;
            if line.contains("\"error\"") {
                bail!("disco: {}", line.trim());
            }
            if line.contains("\"result\"") {
                return Ok(line.to_owned());
            }
            self.told = request_id(line);
            self.acknowledge().await?;
        }
    }

    pub async fn require(
        &mut self,
        topic: &str,
        known: std::collections::BTreeMap<String, disco_proto::Version>,
    ) -> Result<String> {
        self.ask(Method::Require(Require { id: "it".to_owned(), query: Query::of(&name(topic)?), known })).await
    }

    pub async fn provide(&mut self, topic: &str, instance: &str, port: u16) -> Result<String> {
        self.ask(Method::Provide(Provision::new(name(topic)?, instance, "192.0.2.11", port))).await
    }

    /// Says `ping` and does not wait for the answer.
    pub async fn ping(&mut self) -> Result<()> {
        let line = self.request(Method::Ping);
        self.say(&line).await
    }

    /// The next line that the server says by itself.
    pub async fn told(&mut self) -> Result<String> {
        loop {
            let line = self.hear().await?;
            if line.contains("\"method\":\"changed\"") {
                let line = line.to_owned();
                self.told = request_id(&line);
                return Ok(line);
            }
        }
    }
}

/// The name that a topic stands for.
fn name(topic: &str) -> Result<Name> {
    format!("bench/{topic}/mysql/mysql").parse().map_err(|error| anyhow::anyhow!("{topic}: {error}"))
}

fn request_id(line: &str) -> Option<String> {
    Some(line.split("\"id\":").nth(1)?.split(',').next()?.to_owned())
}

#[async_trait]
impl Provider for Client {
    async fn put(&mut self, topic: &str, instance: &str, port: u16) -> Result<()> {
        self.provide(topic, instance, port).await.map(drop)
    }

    async fn put_many(&mut self, topic: &str, count: u32) -> Result<()> {
        let mut lines = Vec::new();
        for number in 0..count {
            let provision = Provision::new(name(topic)?, &format!("i{number}"), "192.0.2.11", 1);
            lines.extend(self.request(Method::Provide(provision)));
        }
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let writing = async {
            writer.write_all(&lines).await?;
            writer.flush().await
        };
        let reading = async {
            let mut left = count as usize;
            let mut buffer = vec![0; 256 * 1024];
            while left > 0 {
                let read = tokio::io::AsyncReadExt::read(&mut reader, &mut buffer).await?;
                if read == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                }
                left -= buffer[..read].iter().filter(|byte| **byte == b'\n').count().min(left);
            }
            Ok(())
        };
        tokio::try_join!(writing, reading)?;
        Ok(())
    }
}

#[async_trait]
impl Subscriber for Client {
    async fn next(&mut self) -> Result<()> {
        self.told = request_id(self.hear().await?);
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<()> {
        let Some(id) = self.told.take() else { return Ok(()) };
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n");
        self.say(line.as_bytes()).await
    }
}
