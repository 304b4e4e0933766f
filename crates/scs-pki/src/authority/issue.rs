//! Issuing: an order becomes a certificate with its key, and three files.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
    string::Ia5String,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{Authority, BACKDATED, Unissued, damaged, file, ledger::Entry};
use crate::{
    certificate::Certificate,
    credentials::Files,
    files::{self, Readers},
    identity::{Identity, Kind},
};

/// What certificate is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose, and what it may do.
    pub identity: Identity,
    /// DNS names and IP addresses under which it is connected to; for servers.
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

/// Without the key.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// Issues a certificate, and notes that.
    ///
    /// # Errors
    /// Where the order makes no sense or the authority's files cannot be used; no certificate was issued then.
    pub fn issue(&self, order: &Order, now: SystemTime) -> Result<Issued, Unissued> {
        let generation = self.current();
        let not_after = now + order.valid;
        check(order, not_after, &generation.certificate)?;
        let key = KeyPair::generate().map_err(Unissued::Made)?;
        let params = params(order, now, not_after)?;
        let made = params.signed_by(&key, &self.issuer(generation)?).map_err(Unissued::Made)?;
        let certificate = Certificate::read(made.der()).map_err(|error| damaged(&self.directory, error))?;
        let identity = &order.identity;
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
        Ok(Issued {
            certificate,
            identity: identity.clone(),
            chain: made.pem() + &self.cross()?,
            key: key.serialize_pem(),
            trusted: self.trusted(),
        })
    }
}

impl Issued {
    /// Writes `tls.crt`, `tls.key` and `ca.crt` into a directory, in place of earlier ones of the same holder.
    ///
    /// # Errors
    /// Where the directory is somebody else's, or cannot be written.
    pub fn write(&self, directory: &Path) -> Result<Files, Unissued> {
        let files = Files::within(directory);
        if let Ok(pem) = fs::read(&files.certificate) {
            let holder = CertificateDer::from_pem_slice(&pem)
                .ok()
                .and_then(|der| Certificate::read(&der).ok()?.identity().ok())
                .map_or_else(|| "somebody unknown".to_owned(), |identity| identity.to_string());
            if holder != self.identity.to_string() {
                return Err(Unissued::Another { path: files.certificate, holder });
            }
        }
        files::directory(directory).map_err(|source| file(directory, source))?;
        // Whom to trust first: it never hurts to trust the next authority early.
        let contents = [
            (&files.authorities, &self.trusted, Readers::Everybody),
            (&files.key, &self.key, Readers::Owner),
            (&files.certificate, &self.chain, Readers::Everybody),
        ];
        for (path, text, readers) in contents {
            files::replace(path, text, readers).map_err(|source| file(path, source))?;
        }
        Ok(files)
    }
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
        Kind::Host | Kind::Person if !order.addresses.is_empty() => {
            wrong(format!("nobody connects to a {}: addresses are for servers", order.identity.kind))
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
        // A server is a client of others, too.
        Kind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        // Whoever only connects cannot pass for a server.
        Kind::Host | Kind::Person => vec![ExtendedKeyUsagePurpose::ClientAuth],
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
