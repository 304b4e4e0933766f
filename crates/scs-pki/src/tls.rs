//! TLS configurations: 1.3 alone, certificates on both sides, sessions resumed.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, CommonState, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use crate::{
    certificate::Certificate,
    credentials::Credentials,
    identity::Identity,
    tickets::Tickets,
    trouble::{Side, Trouble},
    verify::{Expected, Verifier},
};

/// What a client and a server of the discovery protocol call it in ALPN.
const DISCO: &[u8] = b"disco/1";
/// What they call HTTP.
pub(crate) const HTTP: &[u8] = b"http/1.1";

/// Sessions that a client remembers: it speaks to few servers.
const SESSIONS: usize = 16;

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a server takes connections with. A connection meant for one is no good at the others.
#[derive(Debug)]
pub(crate) struct Servers {
    /// For discovery.
    pub(crate) disco: Arc<ServerConfig>,
    /// For HTTP.
    pub(crate) https: Arc<ServerConfig>,
    /// For the HTTP API that people and hosts join at, who have no certificate before.
    pub(crate) joining: Arc<ServerConfig>,
}

/// What a server takes connections with.
pub(crate) fn servers(credentials: &Credentials, secret: &[u8; 32]) -> Result<Servers, rustls::Error> {
    let provider = provider();
    let failed = |error: rustls::server::VerifierBuilderError| rustls::Error::General(error.to_string());
    let optional = WebPkiClientVerifier::builder_with_provider(Arc::clone(&credentials.roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(failed)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&credentials.roots), Arc::clone(&provider))
        .build()
        .map_err(failed)?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
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
    // With the authorities, so that whoever comes for the first time can tell by a fingerprint whom it has met.
    let chain = credentials.key.cert.iter().chain(&credentials.authorities).cloned().collect();
    let key = CertifiedKey::new(chain, Arc::clone(&credentials.key.key));
    let mut joining = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(optional)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    // A resumed session would show the certificate of its beginning, or none, whatever the client has got since.
    joining.session_storage = Arc::new(NoServerSessionStorage {});
    joining.send_tls13_tickets = 0;
    joining.alpn_protocols = vec![HTTP.to_vec()];
    Ok(Servers { disco: Arc::new(config), https: Arc::new(https), joining: Arc::new(joining) })
}

/// What a client connects with to a server of the discovery protocol.
pub(crate) fn disco_client(credentials: &Credentials) -> Result<Arc<ClientConfig>, rustls::Error> {
    client(credentials, Expected::Server, DISCO)
}

/// What a client connects with to a server or host that speaks HTTP.
pub(crate) fn https_client(credentials: &Credentials, expected: Expected) -> Result<Arc<ClientConfig>, rustls::Error> {
    client(credentials, expected, HTTP)
}

fn client(credentials: &Credentials, expected: Expected, protocol: &[u8]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let verifier = Verifier::new(Arc::clone(&credentials.roots), expected, provider());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&credentials.key))));
    // A session is resumed only under the verifier that began it, so that nobody is taken for another by an old ticket.
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// Who is at the other end, once the handshake is done. A resumed session brings the certificate of its beginning, which may have
/// ended since.
///
/// # Errors
/// Where there is none, or it is of no use any more.
pub fn identity_of(connection: &CommonState, now: SystemTime) -> Result<Identity, Trouble> {
    certificate_of(connection, now)?.identity().map_err(Trouble::Identity)
}

/// The certificate at the other end.
pub(crate) fn certificate_of(connection: &CommonState, now: SystemTime) -> Result<Certificate, Trouble> {
    let certificate =
        connection.peer_certificates().and_then(<[_]>::first).ok_or(Trouble::Missing { whose: Side::Peer })?;
    let certificate = Certificate::read(certificate).map_err(|error| Trouble::Other(error.to_string()))?;
    if !certificate.valid_at(now) {
        return Err(Trouble::Expired { whose: Side::Peer });
    }
    Ok(certificate)
}
