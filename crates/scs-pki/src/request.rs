//! Asking for a certificate: the key is made where it is used and never leaves it.

use std::{fs, path::Path};

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{
    authority::{Unissued, damaged, file},
    certificate::Certificate,
    credentials::Files,
    files::{self, Readers},
};

/// A key, and the request for a certificate for it. What the certificate says is not in it: that is for the authority to say.
pub struct Request {
    key: KeyPair,
    pem: String,
}

/// Without the key.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl Request {
    /// A request with a new key.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn new() -> Result<Self, Unissued> {
        Self::with(KeyPair::generate().map_err(Unissued::Made)?)
    }

    /// A request with the key that is in use, for a renewal: then only one file changes, and a process killed in the middle of it never leaves
    /// a key beside a certificate that is not its own.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn renewing(files: &Files) -> Result<Self, Unissued> {
        let pem = fs::read_to_string(&files.key).map_err(|source| file(&files.key, source))?;
        Self::with(KeyPair::from_pem(&pem).map_err(|error| damaged(&files.key, error))?)
    }

    fn with(key: KeyPair) -> Result<Self, Unissued> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let pem = params.serialize_request(&key).and_then(|request| request.pem()).map_err(Unissued::Made)?;
        Ok(Self { key, pem })
    }

    /// The request, PEM: what the authority signs.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes `tls.crt`, `tls.key` and `ca.crt` into a directory, in place of earlier ones of the same holder.
    ///
    /// # Errors
    /// Where the certificate is not for this key, the directory is somebody else's, or it cannot be written.
    pub fn write(&self, chain: &str, trusted: &str, directory: &Path) -> Result<Files, Unissued> {
        let answer = |words: &str| Unissued::Answer(words.to_owned());
        let leaf = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| answer("it holds no certificate"))?;
        let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| answer("it holds no certificate"))?;
        if parsed.public_key().raw != self.key.subject_public_key_info() {
            return Err(answer("the certificate is for another key"));
        }
        let authorities: Vec<_> = CertificateDer::pem_slice_iter(trusted.as_bytes()).collect();
        if authorities.is_empty() || authorities.iter().any(Result::is_err) {
            return Err(answer("it does not say whom to trust"));
        }
        let holder = holder_of(&leaf).ok_or_else(|| answer("the certificate does not say whose it is"))?;
        put(directory, &holder, chain, &self.key.serialize_pem(), trusted)
    }
}

/// Writes the three files of a holder.
pub(crate) fn put(directory: &Path, holder: &str, chain: &str, key: &str, trusted: &str) -> Result<Files, Unissued> {
    let files = Files::within(directory);
    if let Ok(pem) = fs::read(&files.certificate) {
        let there = CertificateDer::from_pem_slice(&pem).ok().and_then(|der| holder_of(&der));
        let there = there.unwrap_or_else(|| "somebody unknown".to_owned());
        if there != holder {
            return Err(Unissued::Another { path: files.certificate, holder: there });
        }
    }
    files::directory(directory).map_err(|source| file(directory, source))?;
    // Whom to trust first: it never hurts to trust the next authority early.
    let contents = [
        (&files.authorities, trusted, Readers::Everybody),
        (&files.key, key, Readers::Owner),
        (&files.certificate, chain, Readers::Everybody),
    ];
    for (path, text, readers) in contents {
        files::replace(path, text, readers).map_err(|source| file(path, source))?;
    }
    Ok(files)
}

/// `host web1`.
fn holder_of(certificate: &CertificateDer<'_>) -> Option<String> {
    Some(Certificate::read(certificate).ok()?.identity().ok()?.to_string())
}
