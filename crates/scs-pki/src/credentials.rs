//! The certificate of this process, its key, and whom it trusts: read from three files and checked before they are used.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use jiff::Timestamp;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};

use crate::{
    certificate::{Certificate, Unreadable},
    first_contact::Fingerprint,
    identity::{Identity, NotAnIdentity},
    tls,
};

/// Where certificate, key and authorities lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, PEM, followed by those between it and an authority.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Whom to trust, PEM.
    pub authorities: PathBuf,
}

impl Files {
    /// `tls.crt`, `tls.key` and `ca.crt` of a directory.
    pub fn within(directory: &Path) -> Self {
        Self {
            certificate: directory.join("tls.crt"),
            key: directory.join("tls.key"),
            authorities: directory.join("ca.crt"),
        }
    }
}

/// Certificate, key and authorities, checked.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Who we are.
    pub identity: Identity,
    /// What our certificate says.
    pub certificate: Certificate,
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// Of the authorities: who trusts others takes no tickets that were given under these.
    pub(crate) trust: [u8; 32],
}

/// Certificate, key or authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no {what}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// The certificate is not ours.
    #[error("{path} is no certificate for us")]
    Identity {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: NotAnIdentity,
    },
    /// Anybody may read the key.
    #[error("anybody on this machine may read the key {0}")]
    Exposed(PathBuf),
    /// Certificate and key are not of each other.
    #[error("the key {key} is not that of the certificate {certificate}")]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate has ended.
    #[error("the certificate {path} expired at {at}")]
    Expired {
        /// Which.
        path: PathBuf,
        /// When.
        at: Timestamp,
    },
    /// The certificate has not begun.
    #[error("the certificate {path} is not valid before {at}; this machine's clock says {now}")]
    NotYetValid {
        /// Which.
        path: PathBuf,
        /// When it begins.
        at: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// No authority that we trust issued it.
    #[error("no authority in {authorities} issued the certificate {certificate}")]
    Foreign {
        /// The certificate.
        certificate: PathBuf,
        /// The authorities.
        authorities: PathBuf,
    },
    /// The TLS library does not take it.
    #[error("cannot use the certificate {path}")]
    Tls {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl Unusable {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Unusable::Expired { .. } => "certificate_expired",
            Unusable::NotYetValid { .. } => "certificate_not_yet_valid",
            Unusable::Foreign { .. } => "certificate_foreign",
            Unusable::Identity { .. } => "certificate_identity",
            Unusable::File { .. } => "certificate_missing",
            Unusable::Content { .. } | Unusable::Exposed(_) | Unusable::Mismatch { .. } | Unusable::Tls { .. } => {
                "certificate_unusable"
            }
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Unusable::File { .. } | Unusable::Content { .. } => {
                "`scs ca issue` writes tls.crt, tls.key and ca.crt into one directory".to_owned()
            }
            Unusable::Identity { .. } => "take one that `scs ca issue` made".to_owned(),
            Unusable::Exposed(path) => {
                format!("`chmod 600 {}`; if others may have read it, issue it anew", path.display())
            }
            Unusable::Mismatch { .. } => "copy both files of one `scs ca issue`".to_owned(),
            Unusable::Expired { .. } => {
                "issue it anew with `scs ca issue`, or see whether the clock is right".to_owned()
            }
            Unusable::NotYetValid { .. } => "is this machine's clock right?".to_owned(),
            Unusable::Foreign { .. } => {
                "copy ca.crt and tls.crt from the same `scs ca issue`; after a rotation, issue the certificate anew"
                    .to_owned()
            }
            Unusable::Tls { .. } => "issue it anew with `scs ca issue`".to_owned(),
        }
    }
}

impl Credentials {
    /// Fingerprints of the authorities that are trusted.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.authorities.iter().map(Fingerprint::of).collect()
    }

    /// Reads and checks them.
    ///
    /// # Errors
    /// Why they cannot be used, and with which file that begins.
    pub fn read(files: &Files, now: SystemTime) -> Result<Self, Unusable> {
        let content = |path: &PathBuf, what| Unusable::Content { path: path.clone(), what };
        let authorities = read(&files.authorities)?;
        let (roots, trust, authorities) =
            trusted(&authorities).ok_or_else(|| content(&files.authorities, "authority"))?;
        let chain = certificates(&read(&files.certificate)?);
        let chain =
            chain.filter(|chain| !chain.is_empty()).ok_or_else(|| content(&files.certificate, "certificate"))?;
        let certificate =
            Certificate::read(&chain[0]).map_err(|Unreadable| content(&files.certificate, "certificate"))?;
        let identity =
            certificate.identity().map_err(|source| Unusable::Identity { path: files.certificate.clone(), source })?;
        let key = key(&files.key)?;
        current(files, &certificate, now)?;

        let unusable = |source| Unusable::Tls { path: files.certificate.clone(), source };
        let provider = tls::provider();
        let signer = provider.key_provider.load_private_key(key).map_err(unusable)?;
        let key = CertifiedKey::new(chain, signer);
        key.keys_match()
            .map_err(|_| Unusable::Mismatch { certificate: files.certificate.clone(), key: files.key.clone() })?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider)
            .build()
            .map_err(|_| content(&files.authorities, "authority"))?;
        let at = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        verifier.verify_client_cert(&key.cert[0], &key.cert[1..], at).map_err(|error| match error {
            rustls::Error::InvalidCertificate(
                rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
            ) => Unusable::Foreign { certificate: files.certificate.clone(), authorities: files.authorities.clone() },
            other => unusable(other),
        })?;
        Ok(Self { identity, certificate, key: Arc::new(key), roots, authorities, trust })
    }
}

fn current(files: &Files, certificate: &Certificate, now: SystemTime) -> Result<(), Unusable> {
    let shown = |time: SystemTime| Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    let path = files.certificate.clone();
    if now > certificate.not_after {
        return Err(Unusable::Expired { path, at: shown(certificate.not_after) });
    }
    if now < certificate.not_before {
        // The nanoseconds of a clock that is wrong by hours are of no interest.
        let now = shown(now).round(jiff::Unit::Second).unwrap_or(Timestamp::MAX);
        return Err(Unusable::NotYetValid { path, at: shown(certificate.not_before), now });
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    fs::read(path).map_err(|source| Unusable::File { path: path.to_owned(), source })
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
}

type Trusted = (Arc<RootCertStore>, [u8; 32], Vec<CertificateDer<'static>>);

fn trusted(pem: &[u8]) -> Option<Trusted> {
    let mut roots = RootCertStore::empty();
    let mut all = certificates(pem)?;
    for certificate in &all {
        roots.add(certificate.clone()).ok()?;
    }
    // The order in the file means nothing.
    all.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
    let mut digest = Sha256::new();
    for certificate in &all {
        digest.update(certificate);
    }
    (!all.is_empty()).then(|| (Arc::new(roots), digest.finalize().into(), all))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let pem = read(path)?;
    let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
    if mode & 0o007 != 0 {
        return Err(Unusable::Exposed(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| Unusable::Content { path: path.to_owned(), what: "private key" })
}
