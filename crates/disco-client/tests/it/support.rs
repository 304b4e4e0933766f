//! Servers, clients, and waiting for something to become true.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use disco_client::{EndpointSet, Handle, Name, Options, Provision, Query, Service, Subscription};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything here takes, however busy the machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Server {
    pub address: SocketAddr,
    pub handle: disco_server::Handle,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

pub fn server_options(listen: SocketAddr) -> disco_server::Options {
    let mut options = disco_server::Options::new(listen);
    // Only tests of the hold want to wait for it.
    options.hold = Duration::ZERO;
    options
}

impl Server {
    pub async fn start() -> Self {
        Self::with(server_options("127.0.0.1:0".parse().unwrap())).await
    }

    pub async fn with(options: disco_server::Options) -> Self {
        let service = disco_server::Service::bind(options).await.unwrap();
        let (address, handle) = (service.local_addr(), service.handle());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Self { address, handle, shutdown, task }
    }

    /// Ends it as a shutdown does.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

pub struct Client {
    pub handle: Handle,
    shutdown: CancellationToken,
    _guard: DropGuard,
    task: JoinHandle<()>,
}

pub fn client_options(address: SocketAddr, agent: &str) -> Options {
    Options {
        address: address.to_string(),
        agent: agent.to_owned(),
        attributes: BTreeMap::from([("host".to_owned(), agent.to_owned())]),
        window: Duration::from_secs(3),
        cache: None,
        tls: None,
    }
}

impl Client {
    pub fn start(server: &Server, agent: &str) -> Self {
        Self::with(client_options(server.address, agent))
    }

    pub fn cached(address: SocketAddr, agent: &str, cache: PathBuf) -> Self {
        Self::with(Options { cache: Some(cache), ..client_options(address, agent) })
    }

    pub fn with(options: Options) -> Self {
        let (service, handle) = Service::new(options);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Self { handle, shutdown: shutdown.clone(), _guard: shutdown.drop_guard(), task }
    }

    /// Ends its task, as a process that ends without closing its session.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// Ends its task in the middle of whatever it does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn mysql(instance: &str, port: u16) -> Provision {
    Provision::new(name("dev/blog/mysql/mysql"), instance, "192.0.2.11", port)
}

pub fn mysql_query() -> Query {
    Query::of(&name("dev/blog/mysql/mysql"))
}

pub fn addresses(set: &EndpointSet) -> Vec<String> {
    set.endpoints.iter().map(disco_client::Endpoint::address).collect()
}

/// Waits for a set that holds.
pub async fn wait_set(
    subscription: &mut Subscription,
    what: &str,
    holds: impl Fn(&EndpointSet) -> bool,
) -> EndpointSet {
    let waiting = async {
        loop {
            let set = subscription.current();
            if holds(&set) {
                return set;
            }
            subscription.changed().await;
        }
    };
    match tokio::time::timeout(DEADLINE, waiting).await {
        Ok(set) => set,
        Err(_) => panic!("{what}: the last set is {:#?}", subscription.current()),
    }
}

/// Waits for something that must be asked for again and again.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(state) if tokio::time::Instant::now() >= deadline => panic!("{what}: {state}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
