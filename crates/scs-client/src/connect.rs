//! Making a connection: a Unix socket, or TCP and TLS, with the right one at the other end.

use crate::error::{Error, Whom};
use crate::socket::Short;
use rustix::net::sockopt;
use scs_pki::rustls::pki_types::ServerName;
use scs_pki::{Expected, Fingerprint, Live, Trouble};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// How long connecting may take, handshake and all: twice around the world, and a name server that is asked twice.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection on which nothing passes is asked about after this long, and again in this pause, so many times.
const PROBE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);

/// What was sent and is not confirmed within this time never will be.
const UNCONFIRMED: u32 = 15_000;

/// Where requests go.
#[derive(Debug, Clone)]
pub enum Target {
    /// A server's Unix socket.
    Socket(PathBuf),
    /// The Unix socket of this user's own `scs dev`.
    Own(PathBuf),
    /// A server or a host.
    Tls(Tls),
}

/// A server or a host, off this machine perhaps.
#[derive(Debug, Clone)]
pub struct Tls {
    /// `host:port`.
    pub address: String,
    /// How it is known, and we are.
    pub security: Security,
}

/// How the other side is known, and we are to it.
#[derive(Debug, Clone)]
pub enum Security {
    /// Both have certificates of one authority.
    Certificate(Arc<Live>, Expected),
    /// We have none yet, and know a server's authority by its fingerprint.
    FirstContact(Fingerprint),
}

/// What bytes pass over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub(crate) type Connection = Box<dyn Io>;

impl Target {
    /// Whom it leads to.
    #[must_use]
    pub fn whom(&self) -> Whom {
        match self {
            Self::Socket(path) => Whom::Socket(path.clone()),
            Self::Own(path) => Whom::Own(path.clone()),
            Self::Tls(tls) => match &tls.security {
                Security::Certificate(_, Expected::Named(kind, name)) => {
                    Whom::Named { who: format!("{kind} {name}"), address: tls.address.clone() }
                }
                Security::Certificate(_, Expected::Server) | Security::FirstContact(_) => {
                    Whom::Server { address: tls.address.clone() }
                }
            },
        }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let unreachable = |source| Error::Unreachable { whom: self.whom(), source };
        match self {
            Self::Socket(path) | Self::Own(path) => {
                let short = Short::new(path).map_err(unreachable)?;
                Ok(Box::new(UnixStream::connect(short.path()).await.map_err(unreachable)?))
            }
            Self::Tls(tls) => match tokio::time::timeout(CONNECT, tls.connect()).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(match Trouble::of(&error) {
                    Some(trouble) => Error::Untrusted { whom: self.whom(), trouble },
                    None => unreachable(error),
                }),
                Err(_) => {
                    let words = format!("no connection within {} s", CONNECT.as_secs());
                    Err(unreachable(io::Error::new(io::ErrorKind::TimedOut, words)))
                }
            },
        }
    }
}

impl Tls {
    async fn connect(&self) -> io::Result<Connection> {
        let config = match &self.security {
            Security::Certificate(live, expected) => live.https_client(expected),
            Security::FirstContact(fingerprint) => scs_pki::first_contact(*fingerprint),
        };
        let config = config.map_err(io::Error::other)?;
        let host = host(&self.address);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}`: {error}")))?;
        let stream = TcpStream::connect(&self.address).await?;
        watched(&stream)?;
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }
}

/// Lets the system notice a peer that is gone without a word, also while nothing is to be said.
fn watched(stream: &TcpStream) -> io::Result<()> {
    let (idle, pause, times) = PROBE;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, pause)?;
    sockopt::set_tcp_keepcnt(stream, times)?;
    sockopt::set_tcp_user_timeout(stream, UNCONFIRMED)?;
    Ok(())
}

/// Of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
