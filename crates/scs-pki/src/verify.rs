//! Whom a client takes for the one it wanted: the chain says that our authority knows it, the identity that it is the right one.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::{
    certificate::Certificate,
    identity::{Identity, Kind, NotAnIdentity},
};

/// Whom a connection is meant for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// A server whose certificate is for the address that is connected to.
    Server,
    /// This one, whatever its address: a host's may change, or be another one outside.
    Named(Kind, String),
}

/// Somebody else answered; both in words, e.g. `host web1`.
#[derive(Debug, thiserror::Error)]
#[error("{presented} answered instead of {wanted}")]
pub(crate) struct Other {
    pub(crate) wanted: String,
    pub(crate) presented: String,
}

/// A certificate of our authority that does not say whose it is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Nobody(pub(crate) NotAnIdentity);

/// Checks chain and identity.
#[derive(Debug)]
pub(crate) struct Verifier {
    roots: Arc<RootCertStore>,
    expected: Expected,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(crate) fn new(roots: Arc<RootCertStore>, expected: Expected, provider: Arc<CryptoProvider>) -> Self {
        Self { roots, expected, provider }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        match &self.expected {
            Expected::Server => {
                server(end_entity)?;
                verify_server_name(&parsed, server_name)?;
            }
            Expected::Named(kind, name) => named(&identity(end_entity)?, *kind, name)?,
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Hosts are connected to as well, but none of them passes for a server, whatever addresses it has.
pub(crate) fn server(certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let kind = identity(certificate)?.kind;
    if kind == Kind::Server { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
}

fn identity(certificate: &CertificateDer<'_>) -> Result<Identity, Error> {
    let certificate = Certificate::read(certificate).map_err(|_| CertificateError::BadEncoding)?;
    certificate.identity().map_err(|error| other(Nobody(error)))
}

fn named(identity: &Identity, kind: Kind, name: &str) -> Result<(), Error> {
    if identity.kind == kind && identity.name == name {
        return Ok(());
    }
    Err(other(Other { wanted: format!("{kind} {name}"), presented: identity.to_string() }))
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}
