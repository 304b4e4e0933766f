//! Who is at the other end of a connection, as the listener found out.

use super::tls::TlsListener;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use scs_pki::Identity;
use tokio::net::UnixListener;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Whoever may open the server's own socket, which is private to its user.
    Owner,
    /// The holder of a certificate.
    Holder {
        /// Who.
        identity: Identity,
        /// Number of the certificate.
        serial: String,
    },
    /// Somebody without a certificate, who can only come to get one.
    Nobody,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> Self {
        Self::Owner
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}
