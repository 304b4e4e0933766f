//! TLS configurations: 1.3 alone, certificates on both sides, sessions resumed.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, CommonState, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::SingleCertAndKey,
    version::TLS13,
};

use crate::{
    certificate::Certificate,
    credentials::Credentials,
    identity::Identity,
    tickets::Tickets,
    trouble::{Side, Trouble},
};

/// What a client and a server of the discovery protocol call it in ALPN.
const DISCO: &[u8] = b"disco/1";
/// What they call HTTP.
const HTTP: &[u8] = b"http/1.1";

/// Sessions that a client remembers: it speaks to few servers.
const SESSIONS: usize = 16;

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a server takes connections with: for discovery, and for HTTP. A connection meant for one is no good at the other.
pub(crate) fn servers(
    credentials: &Credentials,
    secret: &[u8; 32],
) -> Result<(Arc<ServerConfig>, Arc<ServerConfig>), rustls::Error> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&credentials.roots), Arc::clone(&provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.key))));
    // The client keeps what resuming takes, sealed; here is nothing to be full of, or to be lost in a restart.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(Tickets::new(secret, &credentials.trust));
    config.send_tls13_tickets = 1;
    let mut https = config.clone();
    config.alpn_protocols = vec![DISCO.to_vec()];
    https.alpn_protocols = vec![HTTP.to_vec()];
    Ok((Arc::new(config), Arc::new(https)))
}

/// What a client of the discovery protocol connects with.
pub(crate) fn client(credentials: &Credentials) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(&credentials.roots))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.key))));
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.alpn_protocols = vec![DISCO.to_vec()];
    Ok(Arc::new(config))
}

/// Who is at the other end, once the handshake is done. A resumed session brings the certificate of its beginning, which may have
/// ended since.
///
/// # Errors
/// Where there is none, or it is of no use any more.
pub fn identity_of(connection: &CommonState, now: SystemTime) -> Result<Identity, Trouble> {
    let certificate =
        connection.peer_certificates().and_then(<[_]>::first).ok_or(Trouble::Missing { whose: Side::Peer })?;
    let certificate = Certificate::read(certificate).map_err(|error| Trouble::Other(error.to_string()))?;
    if !certificate.valid_at(now) {
        return Err(Trouble::Expired { whose: Side::Peer });
    }
    certificate.identity().map_err(Trouble::Identity)
}
