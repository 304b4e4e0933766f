//! Certificates for the measured server and its clients, made for one run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use scs_pki::{
    Authority, Files, Identity, Kind, Live, Order,
    rustls::{ClientConfig, client::Resumption, pki_types::ServerName},
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// More than a run takes.
const VALID: Duration = Duration::from_secs(24 * 3600);

/// The host that every client is on.
pub const HOST: &str = "host";

/// What one run is secured with; removed with it.
pub struct Certificates {
    folder: TempDir,
    client: Arc<ClientConfig>,
}

impl Certificates {
    /// An authority, a server of it for `localhost`, and a host that may do everything.
    pub fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let now = SystemTime::now();
        let authority = Authority::create(&folder.path().join("ca"), "bench", now)?;
        let issue = |kind, name: &str, addresses: Vec<String>| -> Result<Files> {
            let mut identity = Identity::new(kind, name)?;
            if kind == Kind::Host {
                identity.provide = vec!["*/*".parse()?];
                identity.require = vec!["*/*".parse()?];
            }
            let issued = authority.issue(&Order { identity, addresses, valid: VALID }, now)?;
            Ok(issued.write(&folder.path().join(name))?)
        };
        issue(Kind::Server, "server", vec!["localhost".to_owned()])?;
        let client = Live::open(issue(Kind::Host, HOST, Vec::new())?, None)?.client();
        Ok(Self { folder, client })
    }

    /// Where the server finds its own.
    pub fn server(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// What one client connects with. Each keeps the tickets of its own connections, as processes of their own would.
    pub fn connector(&self) -> Connector {
        let mut config = ClientConfig::clone(&self.client);
        config.resumption = Resumption::in_memory_sessions(1);
        Connector(TlsConnector::from(Arc::new(config)))
    }
}

/// The server's side of what lies in a directory.
pub fn server(directory: &Path) -> Result<Arc<Live>> {
    // Tickets outlive the process, as with `scs server`, which keeps its secret in a file.
    let live = Live::open(Files::within(directory), Some([7; 32]));
    Ok(Arc::new(live.with_context(|| format!("the certificates in {}", directory.display()))?))
}

/// Secures one client's connections, one after another.
#[derive(Clone)]
pub struct Connector(TlsConnector);

impl Connector {
    /// The handshake; it resumes where this client has a ticket.
    pub async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        Ok(self.0.connect(ServerName::try_from("localhost")?, stream).await?)
    }
}
