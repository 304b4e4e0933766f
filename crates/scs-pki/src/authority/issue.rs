//! Issuing: an order becomes a certificate, for a key that is made here or one that never leaves its owner.

use std::{
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, string::Ia5String,
};
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject as _};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

use super::{Authority, BACKDATED, Unissued, damaged, ledger::Entry};
use crate::{
    certificate::Certificate,
    credentials::Files,
    identity::{Identity, Kind},
    request,
};

/// The longest request that is looked at: more than any key takes.
const LONGEST: usize = 16 << 10;

/// What certificate is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose, and what it may do.
    pub identity: Identity,
    /// DNS names and IP addresses under which it is connected to; for servers, and for hosts that others look up by address.
    pub addresses: Vec<String>,
    /// How long it is valid.
    pub valid: Duration,
}

/// A certificate, its key, and whom to trust.
pub struct Issued {
    /// What the certificate says.
    pub certificate: Certificate,
    identity: Identity,
    chain: String,
    key: String,
    trusted: String,
}

/// A certificate for the key of a request, and whom to trust.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What the certificate says.
    pub certificate: Certificate,
    /// The certificate, PEM, followed by what connects it with an older authority.
    pub chain: String,
    /// Whom to trust, PEM.
    pub trusted: String,
}

/// Without the key.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// Issues a certificate with a new key, and notes that.
    ///
    /// # Errors
    /// Where the order makes no sense or the authority's files cannot be used; no certificate was issued then.
    pub fn issue(&self, order: &Order, now: SystemTime) -> Result<Issued, Unissued> {
        let key = KeyPair::generate().map_err(Unissued::Made)?;
        let signed = self.certify(order, &key, now)?;
        Ok(Issued {
            certificate: signed.certificate,
            identity: order.identity.clone(),
            chain: signed.chain,
            key: key.serialize_pem(),
            trusted: signed.trusted,
        })
    }

    /// Issues a certificate for the key of a request, whose owner has proved to have it, and notes that. All that the certificate says comes
    /// from the order; what else the request asks for is passed over.
    ///
    /// # Errors
    /// Where the request is none, or the order makes no sense, or the authority's files cannot be used; no certificate was issued then.
    pub fn sign(&self, request: &str, order: &Order, now: SystemTime) -> Result<Signed, Unissued> {
        self.certify(order, &requested(request)?, now)
    }

    fn certify(&self, order: &Order, key: &impl PublicKeyData, now: SystemTime) -> Result<Signed, Unissued> {
        let generation = self.current();
        let not_after = now + order.valid;
        check(order, not_after, &generation.certificate)?;
        let params = params(order, now, not_after)?;
        let made = params.signed_by(key, &self.issuer(generation)?).map_err(Unissued::Made)?;
        let certificate = Certificate::read(made.der()).map_err(|error| damaged(&self.directory, error))?;
        let identity = &order.identity;
        let chain = made.pem() + &self.cross()?;
        self.note(&Entry {
            serial: certificate.serial.clone(),
            kind: identity.kind,
            name: identity.name.clone(),
            provide: identity.provide.iter().map(ToString::to_string).collect(),
            require: identity.require.iter().map(ToString::to_string).collect(),
            addresses: order.addresses.clone(),
            at: Timestamp::try_from(now).unwrap_or(Timestamp::MAX),
            not_after: Timestamp::try_from(certificate.not_after).unwrap_or(Timestamp::MAX),
            generation: generation.number,
        })?;
        Ok(Signed { certificate, chain, trusted: self.trusted() })
    }
}

impl Issued {
    /// Writes `tls.crt`, `tls.key` and `ca.crt` into a directory, in place of earlier ones of the same holder.
    ///
    /// # Errors
    /// Where the directory is somebody else's, or cannot be written.
    pub fn write(&self, directory: &Path) -> Result<Files, Unissued> {
        request::put(directory, &self.identity.to_string(), &self.chain, &self.key, &self.trusted)
    }
}

/// The key of a request that its owner signed with it.
fn requested(pem: &str) -> Result<impl PublicKeyData, Unissued> {
    let refused = |words: &str| Unissued::Request(words.to_owned());
    if pem.len() > LONGEST {
        return Err(refused("it is longer than any key"));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| refused("it is none"))?;
    let (_, parsed) = X509CertificationRequest::from_der(&der).map_err(|_| refused("it is none"))?;
    // Checks the signature, too.
    let request = CertificateSigningRequestParams::from_der(&der).map_err(|error| match error {
        rcgen::Error::InvalidCertificationRequestSignature => refused("whoever sent it does not have its key"),
        other => Unissued::Request(other.to_string()),
    })?;
    let key = request.public_key;
    // A key of a kind that the signature does not go with would be written down as another one.
    if parsed.certification_request_info.subject_pki.raw != key.subject_public_key_info() {
        return Err(refused("its key is of a kind that is not known here"));
    }
    Ok(key)
}

fn check(order: &Order, not_after: SystemTime, authority: &Certificate) -> Result<(), Unissued> {
    let wrong = |words: String| Err(Unissued::Order(words));
    if order.valid < Duration::from_secs(60) {
        return wrong("a certificate is valid for a minute at least".to_owned());
    }
    if not_after > authority.not_after {
        return wrong("the certificate would outlive the authority; rotate the authority first".to_owned());
    }
    match order.identity.kind {
        Kind::Server if order.addresses.is_empty() => {
            wrong("a server needs an address at least, or nobody could tell that it is the one they wanted".to_owned())
        }
        Kind::Person if !order.addresses.is_empty() => {
            wrong("nobody connects to a person: addresses are for servers and hosts".to_owned())
        }
        _ => Ok(()),
    }
}

fn params(order: &Order, now: SystemTime, not_after: SystemTime) -> Result<CertificateParams, Unissued> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, order.identity.to_string());
    params.not_before = (now - BACKDATED).into();
    params.not_after = not_after.into();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match order.identity.kind {
        // Both are connected to, and are clients of others, too. That a host is no server its identity says.
        Kind::Server | Kind::Host => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        // Whoever only connects cannot pass for one who is connected to.
        Kind::Person => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    for address in &order.addresses {
        let name = match address.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) if disco_name(address) => SanType::DnsName(ia5(address)?),
            Err(_) => return Err(Unissued::Order(format!("`{address}` is neither a DNS name nor an IP address"))),
        };
        params.subject_alt_names.push(name);
    }
    for uri in order.identity.uris() {
        params.subject_alt_names.push(SanType::URI(ia5(&uri)?));
    }
    Ok(params)
}

fn disco_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(disco_proto::label)
}

fn ia5(text: &str) -> Result<Ia5String, Unissued> {
    Ia5String::try_from(text).map_err(Unissued::Made)
}
