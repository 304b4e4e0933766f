//! The authority: it lies in a directory, issues certificates, and can be replaced while everything goes on.
//!
//! Each generation of it has a directory of its own, put in place whole; the highest issues. While an older one is there too, both are
//! trusted, and whatever the newer one issues carries its *cross certificate*, the newer authority signed by the older: peers that do not know
//! the newer yet follow it. So certificates and lists of authorities may be replaced in any order, and nobody is turned away meanwhile.
//!
//! ```text
//! ca.crt          whom to trust: a copy for others
//! issued.jsonl    what was issued, a line each
//! 1/ca.crt ca.key
//! 2/ca.crt ca.key cross.crt
//! ```

mod issue;
mod ledger;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    certificate::Certificate,
    files::{self, Readers},
    first_contact::Fingerprint,
};

pub use issue::{Issued, Order, Signed};
pub use ledger::Entry;

/// How long an authority is valid. Nobody waits for that: it is rotated.
const VALID: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How far clocks may be apart: certificates are valid from so long before they are issued.
const BACKDATED: Duration = Duration::from_secs(3600);

/// An authority in its directory.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    /// The oldest first; never empty.
    generations: Vec<Generation>,
}

#[derive(Debug, Clone)]
struct Generation {
    number: u32,
    pem: String,
    certificate: Certificate,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The authority that issues.
    pub current: Certificate,
    /// Those that are only trusted still, the oldest first; empty while nothing is being rotated.
    pub older: Vec<Certificate>,
    /// Who has only a certificate of an older one that has not ended, e.g. `host web1`.
    pub waiting: Vec<String>,
}

/// The authority could not do it. Nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Unissued {
    /// There is one already; it is never overwritten.
    #[error("there is an authority in {0} already")]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no authority in {0}")]
    Missing(PathBuf),
    /// Its files cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its files are not what they should be.
    #[error("{path} is damaged")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate cannot be made.
    #[error("the certificate cannot be made")]
    Made(#[source] rcgen::Error),
    /// The order makes no sense.
    #[error("{0}")]
    Order(String),
    /// What came as a request for a certificate cannot be used.
    #[error("the request for a certificate cannot be used: {0}")]
    Request(String),
    /// What came as an answer to a request cannot be used.
    #[error("the certificate that was issued cannot be used: {0}")]
    Answer(String),
    /// The directory holds the certificate of somebody else.
    #[error("{path} is the certificate of {holder}")]
    Another {
        /// The certificate.
        path: PathBuf,
        /// Whose it is.
        holder: String,
    },
    /// A rotation begins before the last one has ended.
    #[error("an older authority is still trusted: the last rotation has not been finished")]
    Rotating,
    /// There is no rotation to finish.
    #[error("no rotation is under way")]
    NotRotating,
    /// Ending the rotation would turn somebody away.
    #[error("still only with a certificate of the older authority: {}", .0.join(", "))]
    Waiting(Vec<String>),
}

impl Authority {
    /// Makes a new authority of this name.
    ///
    /// # Errors
    /// Where there is one, or it cannot be written.
    pub fn create(directory: &Path, name: &str, now: SystemTime) -> Result<Self, Unissued> {
        if !numbers(directory)?.is_empty() {
            return Err(Unissued::Exists(directory.to_owned()));
        }
        files::directory(directory).map_err(|source| file(directory, source))?;
        let key = KeyPair::generate().map_err(Unissued::Made)?;
        let certificate = params(name, 1, now).self_signed(&key).map_err(Unissued::Made)?;
        put(directory, 1, &[("ca.crt", &certificate.pem()), ("ca.key", &key.serialize_pem())])?;
        let authority = Self::open(directory)?;
        authority.publish()?;
        Ok(authority)
    }

    /// Opens one that is there.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, Unissued> {
        let generations = numbers(directory)?.into_iter().map(|number| {
            let path = directory.join(number.to_string()).join("ca.crt");
            let pem = fs::read_to_string(&path).map_err(|source| file(&path, source))?;
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| damaged(&path, error))?;
            let certificate = Certificate::read(&der).map_err(|error| damaged(&path, error))?;
            Ok(Generation { number, pem, certificate })
        });
        let generations: Vec<_> = generations.collect::<Result<_, Unissued>>()?;
        if generations.is_empty() {
            return Err(Unissued::Missing(directory.to_owned()));
        }
        Ok(Self { directory: directory.to_owned(), generations })
    }

    /// Whom to trust, as PEM: the one that issues first.
    pub fn trusted(&self) -> String {
        self.generations.iter().rev().map(|generation| generation.pem.as_str()).collect()
    }

    /// What the authority that issues is known by to those who have nothing of it yet.
    ///
    /// # Errors
    /// Where its own certificate cannot be read.
    pub fn fingerprint(&self) -> Result<Fingerprint, Unissued> {
        let der = CertificateDer::from_pem_slice(self.current().pem.as_bytes());
        der.map(|der| Fingerprint::of(&der)).map_err(|error| damaged(&self.directory, error))
    }

    /// How far a rotation is.
    ///
    /// # Errors
    /// Where the list of what was issued cannot be read.
    pub fn rotation(&self, now: SystemTime) -> Result<Rotation, Unissued> {
        let current = self.current().number;
        let issued = self.issued()?;
        let renewed = |one: &ledger::Entry| {
            issued.iter().any(|other| other.holder() == one.holder() && other.generation >= current)
        };
        let mut waiting: Vec<String> = issued
            .iter()
            .filter(|entry| entry.generation < current && SystemTime::from(entry.not_after) > now && !renewed(entry))
            .map(ledger::Entry::holder)
            .collect();
        waiting.sort();
        waiting.dedup();
        let mut certificates: Vec<_> =
            self.generations.iter().map(|generation| generation.certificate.clone()).collect();
        let current = certificates.pop().unwrap_or_else(|| self.current().certificate.clone());
        Ok(Rotation { current, older: certificates, waiting })
    }

    /// Begins a rotation: a new authority issues from now on, and both are trusted until [`Authority::retire`].
    ///
    /// # Errors
    /// Where one is under way, or it cannot be written.
    pub fn rotate(&mut self, now: SystemTime) -> Result<(), Unissued> {
        if self.generations.len() > 1 {
            return Err(Unissued::Rotating);
        }
        let old = self.current();
        let number = old.number + 1;
        // `scs NAME authority 1` → NAME
        let name = old.certificate.subject.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once(MIDDLE));
        let params = params(name.map_or("", |(name, _)| name), number, now);
        let key = KeyPair::generate().map_err(Unissued::Made)?;
        let certificate = params.self_signed(&key).map_err(Unissued::Made)?;
        // Not valid for longer than the older one is, or it would be good for nothing in the end.
        let mut crossing = params;
        crossing.not_after = crossing.not_after.min(old.certificate.not_after.into());
        let cross = crossing.signed_by(&key, &self.issuer(old)?).map_err(Unissued::Made)?;
        let files = [("ca.crt", certificate.pem()), ("cross.crt", cross.pem()), ("ca.key", key.serialize_pem())];
        put(&self.directory, number, &files.each_ref().map(|(name, text)| (*name, text.as_str())))?;
        *self = Self::open(&self.directory)?;
        self.publish()
    }

    /// Ends a rotation: the older authority is trusted no more, and its key is deleted.
    ///
    /// # Errors
    /// Where none is under way, or, unless `anyway`, somebody would be turned away by it.
    pub fn retire(&mut self, anyway: bool, now: SystemTime) -> Result<(), Unissued> {
        let rotation = self.rotation(now)?;
        if rotation.older.is_empty() {
            return Err(Unissued::NotRotating);
        }
        if !anyway && !rotation.waiting.is_empty() {
            return Err(Unissued::Waiting(rotation.waiting));
        }
        let current = self.current().number;
        for generation in self.generations.iter().filter(|generation| generation.number < current) {
            let place = self.directory.join(generation.number.to_string());
            // Out of sight in one step; a process killed here leaves a directory that no number names.
            let gone = self.directory.join(format!("{}.gone", generation.number));
            fs::rename(&place, &gone)
                .and_then(|()| fs::remove_dir_all(&gone))
                .map_err(|source| file(&place, source))?;
        }
        *self = Self::open(&self.directory)?;
        self.publish()
    }

    fn current(&self) -> &Generation {
        self.generations.last().expect("an open authority has a generation")
    }

    fn issuer(&self, generation: &Generation) -> Result<Issuer<'static, KeyPair>, Unissued> {
        let path = self.directory.join(generation.number.to_string()).join("ca.key");
        let pem = fs::read_to_string(&path).map_err(|source| file(&path, source))?;
        let key = KeyPair::from_pem(&pem).map_err(|error| damaged(&path, error))?;
        Issuer::from_ca_cert_pem(&generation.pem, key).map_err(|error| damaged(&path, error))
    }

    /// What follows a certificate that the current generation issues, so that whoever trusts only the older one can follow.
    fn cross(&self) -> Result<String, Unissued> {
        if self.generations.len() < 2 {
            return Ok(String::new());
        }
        let path = self.directory.join(self.current().number.to_string()).join("cross.crt");
        fs::read_to_string(&path).map_err(|source| file(&path, source))
    }

    fn publish(&self) -> Result<(), Unissued> {
        let path = self.directory.join("ca.crt");
        files::replace(&path, &self.trusted(), Readers::Everybody).map_err(|source| file(&path, source))
    }
}

const PREFIX: &str = "scs ";
const MIDDLE: &str = " authority ";

fn params(name: &str, number: u32, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("{PREFIX}{name}{MIDDLE}{number}"));
    // One authority below it: the next generation, in its cross certificate.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + VALID).into();
    params
}

/// Puts a generation in place, whole.
fn put(directory: &Path, number: u32, contents: &[(&str, &str)]) -> Result<(), Unissued> {
    let place = directory.join(number.to_string());
    let beside = directory.join(format!("{number}.new"));
    let _ = fs::remove_dir_all(&beside);
    let write = || {
        files::directory(&beside)?;
        for (name, text) in contents {
            files::replace(&beside.join(name), text, Readers::Owner)?;
        }
        fs::rename(&beside, &place)?;
        fs::File::open(directory)?.sync_all()
    };
    write().map_err(|source| file(&place, source))
}

/// The generations that are there, the oldest first.
fn numbers(directory: &Path) -> Result<Vec<u32>, Unissued> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| file(directory, source))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| file(directory, source))?;
        numbers.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn file(path: &Path, source: io::Error) -> Unissued {
    Unissued::File { path: path.to_owned(), source }
}

pub(crate) fn damaged(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Unissued {
    Unissued::Damaged { path: path.to_owned(), source: Box::new(error) }
}

#[cfg(test)]
mod tests;
