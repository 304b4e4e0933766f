//! What a certificate says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::identity::{Identity, NotAnIdentity};

/// What a certificate says, as far as it matters to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its number, in hexadecimal digits.
    pub serial: String,
    /// Its holder's name, for people.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Not valid before.
    pub not_before: SystemTime,
    /// Not valid after.
    pub not_after: SystemTime,
    /// DNS names and IP addresses it is valid for.
    pub addresses: Vec<String>,
    /// All URIs in it.
    pub uris: Vec<String>,
}

/// A certificate cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no X.509 certificate")]
pub struct Unreadable;

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (_, x509) = X509Certificate::from_der(der).map_err(|_| Unreadable)?;
        let (mut addresses, mut uris) = (Vec::new(), Vec::new());
        let names = x509.subject_alternative_name().map_err(|_| Unreadable)?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => addresses.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                _ => {}
            }
        }
        let validity = x509.validity();
        Ok(Self {
            serial: x509.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            subject: common_name(x509.subject()),
            issuer: common_name(x509.issuer()),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            addresses,
            uris,
        })
    }

    /// Who its holder is.
    ///
    /// # Errors
    /// Where it does not say so in our words.
    pub fn identity(&self) -> Result<Identity, NotAnIdentity> {
        Identity::of_uris(self.uris.iter().map(String::as_str))
    }

    /// Whether it is valid at this time.
    pub fn valid_at(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|common| common.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string())
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
