//! A cluster's authority, and an agent that is served on loopback.

use crate::scripted::Scripted;
use scs_control::agents::{Agent, Reachability};
use scs_pki::{Authority, Files, Identity, Kind, Live, Order};
use scs_remote::{Options, Remote, RemoteOptions, serve};
use scs_testkit::wait_for;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

const DAY: Duration = Duration::from_secs(24 * 3600);

pub struct World {
    pub place: tempfile::TempDir,
    pub authority: Authority,
}

impl World {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let authority = Authority::create(&place.path().join("ca"), "test", SystemTime::now()).unwrap();
        Self { place, authority }
    }

    /// A certificate that was issued at this time for a day.
    pub fn files(&self, kind: Kind, name: &str, at: SystemTime) -> Files {
        let identity = Identity::new(kind, name).unwrap();
        let addresses = if kind == Kind::Server { vec!["localhost".to_owned()] } else { Vec::new() };
        let issued = self.authority.issue(&Order { identity, addresses, valid: DAY }, at).unwrap();
        issued.write(&self.place.path().join(format!("{kind}-{name}"))).unwrap()
    }

    pub fn live(&self, kind: Kind, name: &str) -> Arc<Live> {
        self.live_at(kind, name, SystemTime::now())
    }

    /// One that ends in two seconds.
    pub fn ending(&self, kind: Kind, name: &str) -> Arc<Live> {
        self.live_at(kind, name, SystemTime::now() - DAY + Duration::from_secs(2))
    }

    fn live_at(&self, kind: Kind, name: &str, at: SystemTime) -> Arc<Live> {
        Arc::new(Live::open(self.files(kind, name, at), None).unwrap())
    }

    pub fn server(&self) -> Arc<Live> {
        self.live(Kind::Server, "s1")
    }

    pub fn host(&self) -> Arc<Live> {
        self.live(Kind::Host, "h2")
    }
}

/// An agent that is served, until dropped.
pub struct Served {
    pub address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub async fn start(agent: &Arc<Scripted>, live: Arc<Live>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), agent, live).await
    }

    pub async fn start_at(address: SocketAddr, agent: &Arc<Scripted>, live: Arc<Live>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let options = Options { beat: Duration::from_millis(100) };
        let serving = tokio::spawn(serve(listener, live, Arc::clone(agent) as _, options, shutdown.clone()));
        Self { address, shutdown, serving }
    }

    /// Ends it in order.
    pub async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// The agent of host h2 as a server in a hurry sees it.
pub fn remote(address: SocketAddr, live: Arc<Live>) -> Arc<Remote> {
    let options = RemoteOptions { silence: Duration::from_secs(2), ..RemoteOptions::default() };
    Arc::new(Remote::with("h2", &address.to_string(), live, options))
}

pub async fn reached(remote: &Remote) {
    wait_for("the host to answer", PATIENCE, async || match &*remote.reachable().borrow() {
        Reachability::Reachable { .. } => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Why it is out of reach, once that holds these words.
pub async fn lost(remote: &Remote, words: &str) {
    wait_for(words, PATIENCE, async || match &*remote.reachable().borrow() {
        Reachability::Unreachable { why, .. } if why.contains(words) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Whether its host is there although its agent is not.
pub fn host_answers(remote: &Remote) -> bool {
    matches!(&*remote.reachable().borrow(), Reachability::Unreachable { host_answers: true, .. })
}

pub async fn revision(agent: &dyn Agent, wanted: u64) {
    let mut reports = agent.report();
    wait_for("the report", PATIENCE, async || {
        let seen = reports.borrow_and_update().revision;
        if seen == wanted { Ok(()) } else { Err(format!("revision {seen}")) }
    })
    .await;
}
