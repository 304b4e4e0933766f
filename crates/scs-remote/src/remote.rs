//! The control plane's side: an agent on another host, as if it were here.

mod hold;
mod pauses;
mod session;

use crate::SILENCE;
use crate::wire;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use scs_api::agent::{Assignments, HostReport, LeaseGrant};
use scs_api::deploy::{BuildRequest, Event};
use scs_api::error::{Code, Problem};
use scs_api::log::{LogLine, LogQuery};
use scs_api::routes::{ExecQuery, Pruned};
use scs_api::transfer::Survey;
use scs_client::paths::{escape, query};
use scs_client::{Client, Error, Method};
use scs_control::agents::{
    Agent, ByteStream, Channel, Connect, CopyEvent, ExecSession, HostAddress, OutputLine, Peers, Reachability,
    VolumeAt, VolumeCopy, VolumeOffer, VolumeSeen,
};
use scs_pki::{Expected, Kind, Live};
use scs_ports::volume::VolumeId;
use serde::Serialize;
use std::collections::BTreeSet;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

/// Lines of output that wait for a slow reader, as many as the agent keeps.
const OUTPUT: usize = 4096;

/// How patient one is with a host.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// A host that has said nothing for so long is given up; [`SILENCE`] unless a test is in a hurry.
    pub silence: Duration,
    /// How long an answer that takes no work may take to begin.
    pub answer: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { silence: SILENCE, answer: Duration::from_secs(30) }
    }
}

/// The agent of another host. It keeps one connection to hear of it, made anew whenever it breaks, until it is dropped.
#[derive(Debug)]
pub struct Remote {
    host: String,
    /// For what is answered at once.
    client: Client,
    /// For what takes its time.
    patient: Client,
    /// For what is worth nothing when it is late.
    brief: Client,
    heard: Arc<Heard>,
    _holding: AbortOnDropHandle<()>,
}

/// What was heard of a host last.
#[derive(Debug)]
struct Heard {
    report: watch::Sender<HostReport>,
    output: broadcast::Sender<OutputLine>,
    reachable: watch::Sender<Reachability>,
    questions: watch::Sender<Option<u64>>,
}

impl Remote {
    /// The agent of a host, at `host:port`. Has to be called within a runtime; `live` is the certificate of this server.
    #[must_use]
    pub fn new(host: &str, address: &str, live: Arc<Live>) -> Self {
        Self::with(host, address, live, Options::default())
    }

    /// The same with other patience.
    #[must_use]
    pub fn with(host: &str, address: &str, live: Arc<Live>, options: Options) -> Self {
        let patient = Client::tls(address, live, Expected::Named(Kind::Host, host.to_owned()));
        let client = patient.within(options.answer);
        let brief = patient.within(options.silence);
        let heard = Arc::new(Heard {
            report: watch::Sender::new(HostReport::default()),
            output: broadcast::channel(OUTPUT).0,
            reachable: watch::Sender::new(Reachability::Connecting),
            questions: watch::Sender::new(None),
        });
        let holding = hold::hold(client.clone(), host.to_owned(), Arc::clone(&heard), options.silence);
        let holding = AbortOnDropHandle::new(tokio::spawn(holding));
        Self { host: host.to_owned(), client, patient, brief, heard, _holding: holding }
    }

    /// Waits for what takes its time, as long as the host is there.
    async fn while_there<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Problem> {
        let mut reachable = self.heard.reachable.subscribe();
        let gone = async {
            loop {
                if reachable.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                if let Reachability::Unreachable { why, .. } = &*reachable.borrow_and_update() {
                    break why.clone();
                }
            }
        };
        tokio::select! {
            answer = asked => Ok(answer?),
            why = gone => {
                let message = format!("{} does not answer any more", self.client.whom());
                let mut problem = Problem::new(Code::Unavailable, message);
                problem.causes.push(why);
                Err(problem.hint("whether it was done is unknown; ask again once the host is back"))
            }
        }
    }
}

#[async_trait]
impl Agent for Remote {
    fn host(&self) -> &str {
        &self.host
    }

    fn reachable(&self) -> watch::Receiver<Reachability> {
        self.heard.reachable.subscribe()
    }

    async fn assign(&self, assignments: Assignments) -> Result<(), Problem> {
        Ok(self.client.tell(Method::PUT, wire::ASSIGNMENTS, Some(&assignments)).await?)
    }

    fn questions(&self) -> watch::Receiver<Option<u64>> {
        self.heard.questions.subscribe()
    }

    async fn lease(&self, grant: LeaseGrant) -> Result<(), Problem> {
        Ok(self.brief.tell(Method::PUT, wire::LEASE, Some(&grant)).await?)
    }

    fn report(&self) -> watch::Receiver<HostReport> {
        self.heard.report.subscribe()
    }

    fn output(&self) -> broadcast::Receiver<OutputLine> {
        self.heard.output.subscribe()
    }

    async fn engine(&self) -> Result<String, Problem> {
        Ok(self.client.get(wire::ENGINE).await?)
    }

    async fn build(&self, request: BuildRequest) -> Result<BoxStream<'static, Event>, Problem> {
        let events = self.client.stream::<Event>(Method::POST, wire::BUILD, Some(&request)).await?;
        let host = self.host.clone();
        Ok(session::to_the_end(events, move || cut_short(&host)))
    }

    async fn images(&self) -> Result<BTreeSet<String>, Problem> {
        Ok(self.client.get(wire::IMAGES).await?)
    }

    async fn export_image(&self, digest: &str) -> Result<ByteStream, Problem> {
        let content = self.client.download(&format!("{}/{}", wire::IMAGES, escape(digest))).await?;
        Ok(content.map_err(io::Error::other).boxed())
    }

    async fn logs(&self, query: LogQuery) -> Result<BoxStream<'static, LogLine>, Problem> {
        let path = Self::path(wire::LOGS, &query)?;
        let lines = self.client.stream::<LogLine>(Method::GET, &path, None::<&()>).await?;
        let host = self.host.clone();
        let whole = move |line: Result<LogLine, Error>| {
            // There is no line that says so: the reader is told by the end of the stream, the operator here.
            let line = line.inspect_err(|error| {
                tracing::warn!(host.id = host, %error, why = error.why(), "logs of a host broke off");
            });
            line.ok()
        };
        Ok(lines.map(whole).take_while(|line| ready(line.is_some())).filter_map(ready).boxed())
    }

    async fn exec(&self, instance: &str, query: ExecQuery) -> Result<ExecSession, Problem> {
        let path = Self::path(&format!("{}/{}/exec", wire::INSTANCES, escape(instance)), &query)?;
        let (sender, receiver) = self.client.exec(&path).await?;
        Ok(session::of(sender, receiver))
    }

    async fn remove_volume(&self, volume: VolumeAt) -> Result<(), Problem> {
        let path = at(wire::VOLUME, &volume);
        self.while_there(self.patient.tell(Method::DELETE, &path, None::<&()>)).await
    }

    async fn export_volume(&self, volume: VolumeAt) -> Result<ByteStream, Problem> {
        let content = self.client.download(&at(wire::VOLUME_DATA, &volume)).await?;
        Ok(content.map_err(io::Error::other).boxed())
    }

    async fn import_volume(&self, volume: VolumeAt, content: ByteStream) -> Result<(), Problem> {
        self.while_there(self.patient.upload(&at(wire::VOLUME_DATA, &volume), content)).await
    }

    async fn inspect_volume(&self, volume: VolumeAt) -> Result<VolumeSeen, Problem> {
        Ok(self.client.get(&at(wire::VOLUME, &volume)).await?)
    }

    async fn offer_volume(&self, offer: VolumeOffer) -> Result<Survey, Problem> {
        self.while_there(self.patient.post(wire::VOLUME_OFFER, &offer)).await
    }

    async fn copy_volume(&self, copy: VolumeCopy) -> Result<BoxStream<'static, CopyEvent>, Problem> {
        let events = self.patient.stream::<CopyEvent>(Method::POST, wire::VOLUME_COPY, Some(&copy));
        let events = self.while_there(events).await?;
        let told = |event: Result<CopyEvent, Error>| {
            event.unwrap_or_else(|error| CopyEvent::Failed { problem: error.into(), fatal: false })
        };
        Ok(events.map(told).boxed())
    }

    async fn hand_over_volume(&self, volume: VolumeAt, to: &str) -> Result<(), Problem> {
        let over = wire::HandOver { volume, to: to.to_owned() };
        self.while_there(self.patient.tell(Method::POST, wire::VOLUME_HAND_OVER, Some(&over))).await
    }

    async fn prune(&self, keep: BTreeSet<String>) -> Result<Pruned, Problem> {
        self.while_there(self.patient.post(wire::PRUNE, &keep)).await
    }
}

impl Remote {
    /// A path with the fields of a query that have a value.
    fn path(path: &str, asked: &impl Serialize) -> Result<String, Problem> {
        let asked = serde_json::to_value(asked).map_err(|error| Problem::of(Code::Internal, &error))?;
        let pairs: Vec<(&str, Option<String>)> = asked
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let text = match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                };
                (name.as_str(), text)
            })
            .collect();
        Ok(query(path, &pairs))
    }
}

fn at(path: &str, volume: &VolumeAt) -> String {
    let volume = serde_json::to_string(volume).expect("a volume has text keys only");
    query(path, &[("volume", Some(volume))])
}

fn cut_short(host: &str) -> Problem {
    Problem::new(Code::Unavailable, format!("the agent of host {host} ended before it was done"))
        .hint("containers keep running; run the same command again")
}

/// Fetches volumes from the agents of other hosts, with the certificate of this host.
#[derive(Debug, Clone)]
pub struct Neighbours {
    live: Arc<Live>,
}

impl Neighbours {
    /// With this certificate.
    #[must_use]
    pub fn new(live: Arc<Live>) -> Self {
        Self { live }
    }
}

#[async_trait]
impl Peers for Neighbours {
    async fn open(&self, peer: &HostAddress, transfer: &str, volume: &VolumeId) -> io::Result<Channel> {
        let volume = serde_json::to_string(volume).expect("a volume's id has text keys only");
        let path = query(&format!("{}/{}", wire::TRANSFERS, escape(transfer)), &[("volume", Some(volume))]);
        let expected = Expected::Named(Kind::Host, peer.name.clone());
        let client = Client::tls(&peer.address, Arc::clone(&self.live), expected).within(Options::default().answer);
        let channel = client.upgrade(&path, wire::VOLUME_PROTOCOL).await.map_err(io::Error::other)?;
        Ok(Box::new(channel))
    }
}

/// Connects to agents with the certificate of this server.
#[derive(Debug, Clone)]
pub struct Connector {
    live: Arc<Live>,
}

impl Connector {
    /// With this certificate.
    #[must_use]
    pub fn new(live: Arc<Live>) -> Self {
        Self { live }
    }
}

impl Connect for Connector {
    fn connect(&self, host: &HostAddress) -> Arc<dyn Agent> {
        Arc::new(Remote::new(&host.name, &host.address, Arc::clone(&self.live)))
    }
}
