//! What a connection is secured with.

use std::{fmt, io, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Gives the configuration of the next connection, so that one that was replaced is used without a restart. The configuration keeps the
/// sessions that can be resumed: hand out the same one as long as nothing changed.
#[derive(Clone)]
pub struct Tls(Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>);

impl Tls {
    /// Asks `configuration` for each connection.
    pub fn new(configuration: impl Fn() -> Arc<ClientConfig> + Send + Sync + 'static) -> Self {
        Self(Arc::new(configuration))
    }

    /// The handshake with the server at `address`, whose certificate has to be for its host.
    pub(crate) async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let host = host(address);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("`{host}`: {error}")))?;
        TlsConnector::from((self.0)()).connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Of `host:port`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_an_address_is_what_its_certificate_has_to_be_for() {
        assert_eq!(
            ["db.example:1", "192.0.2.1:1", "[2001:db8::1]:1"].map(host),
            ["db.example", "192.0.2.1", "2001:db8::1"]
        );
    }
}
