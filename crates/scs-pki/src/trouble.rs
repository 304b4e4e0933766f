//! Why a TLS connection did not come to be, in words that say whose certificate it is about.

use std::io;

use jiff::Timestamp;
use rustls::{AlertDescription, CertificateError};

use crate::{
    identity::NotAnIdentity,
    verify::{Nobody, Other},
};

/// Whose certificate it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ours; the peer says so.
    Own,
    /// The peer's; we say so.
    Peer,
}

/// Why a TLS connection did not come to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The certificate has ended (or, where the peer says so, has not begun).
    #[error("{}", .whose.said("the peer's certificate has expired", "the peer says that our certificate has expired or is not valid yet"))]
    Expired {
        /// Whose.
        whose: Side,
    },
    /// The certificate has not begun: one of the two clocks is wrong.
    #[error("the peer's certificate is not valid yet")]
    NotYetValid,
    /// Another authority issued it.
    #[error("{}", .whose.said("the peer's certificate was issued by an authority that we do not trust", "the peer does not trust the authority that issued our certificate"))]
    Foreign {
        /// Whose.
        whose: Side,
    },
    /// There is none.
    #[error("{}", .whose.said("the peer has no certificate", "the peer wants a certificate of us, and we have none"))]
    Missing {
        /// Whose.
        whose: Side,
    },
    /// It is somebody else's.
    #[error("the peer's certificate is for {presented}, not for {wanted}")]
    Name {
        /// What we connected to.
        wanted: String,
        /// What its certificate says.
        presented: String,
    },
    /// Somebody else of ours answers: wrong address, or two have changed places.
    #[error("the peer is {presented}, not {wanted}")]
    Another {
        /// Whom we wanted.
        wanted: String,
        /// Who it is.
        presented: String,
    },
    /// It is not for this use: a host's where a server's is wanted.
    #[error("{}", .whose.said("the peer's certificate is not for this use", "the peer says that our certificate is not for this use"))]
    Purpose {
        /// Whose.
        whose: Side,
    },
    /// It does not say who the peer is.
    #[error("the peer's certificate is none of ours: {0}")]
    Identity(NotAnIdentity),
    /// What is there does not speak TLS.
    #[error("the peer does not speak TLS")]
    Plain,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Side {
    fn said<'a>(self, peer: &'a str, own: &'a str) -> &'a str {
        match self {
            Side::Peer => peer,
            Side::Own => own,
        }
    }
}

impl Trouble {
    /// What an error of a connection says about TLS; `None` if nothing.
    pub fn of(error: &io::Error) -> Option<Self> {
        let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of_tls(error));
            }
            // An `io::Error` hides its inner error from `source`.
            cause = match error.downcast_ref::<io::Error>() {
                Some(inner) => inner.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
                None => error.source(),
            };
        }
        None
    }

    /// What an error of TLS means.
    pub fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::NoCertificatesPresented => Trouble::Missing { whose: Side::Peer },
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::InvalidMessage(_) => Trouble::Plain,
            other => Trouble::Other(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        let whose = Side::Peer;
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Trouble::Expired { whose },
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Trouble::NotYetValid,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Trouble::Foreign { whose },
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Trouble::Purpose { whose }
            }
            CertificateError::NotValidForNameContext { expected, presented } => Trouble::Name {
                wanted: expected.to_str().into_owned(),
                presented: if presented.is_empty() { "no address at all".to_owned() } else { presented.join(", ") },
            },
            CertificateError::Other(other) => Self::of_identity(&*other.0),
            other => Trouble::Other(format!("the peer's certificate cannot be used: {other}")),
        }
    }

    /// What our own verifier found.
    fn of_identity(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        if let Some(Other { wanted, presented }) = error.downcast_ref() {
            return Trouble::Another { wanted: wanted.clone(), presented: presented.clone() };
        }
        match error.downcast_ref() {
            Some(Nobody(error)) => Trouble::Identity(error.clone()),
            None => Trouble::Other(format!("the peer's certificate cannot be used: {error}")),
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        let whose = Side::Own;
        match alert {
            AlertDescription::CertificateExpired => Trouble::Expired { whose },
            AlertDescription::UnknownCA | AlertDescription::DecryptError => Trouble::Foreign { whose },
            AlertDescription::CertificateRequired => Trouble::Missing { whose },
            AlertDescription::UnsupportedCertificate => Trouble::Purpose { whose },
            AlertDescription::CertificateUnknown => {
                Trouble::Other("the peer says that our certificate is not the one it wants".to_owned())
            }
            other => Trouble::Other(format!("the peer refused the connection: {other:?}")),
        }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Trouble::Expired { .. } => "certificate_expired",
            Trouble::NotYetValid => "certificate_not_yet_valid",
            Trouble::Foreign { .. } => "certificate_foreign",
            Trouble::Missing { .. } => "certificate_missing",
            Trouble::Name { .. } | Trouble::Another { .. } => "certificate_name",
            Trouble::Purpose { .. } => "certificate_purpose",
            Trouble::Identity(_) => "certificate_identity",
            Trouble::Plain => "tls_expected",
            Trouble::Other(_) => "tls",
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        let clock = || {
            let now = Timestamp::now().round(jiff::Unit::Second).unwrap_or(Timestamp::MAX);
            format!("the clock here says {now}")
        };
        match self {
            Trouble::Expired { whose: Side::Peer } => {
                format!("issue the peer's certificate anew with `scs ca issue`, or mend a clock; {}", clock())
            }
            Trouble::Expired { whose: Side::Own } => {
                format!("issue our certificate anew with `scs ca issue`, or mend a clock; {}", clock())
            }
            Trouble::NotYetValid => format!("one of the two clocks is wrong; {}", clock()),
            Trouble::Foreign { .. } => {
                "both need certificates of one authority, and its ca.crt; after a rotation, issue them anew".to_owned()
            }
            Trouble::Missing { .. } => "`scs ca issue` makes one".to_owned(),
            Trouble::Name { .. } => "connect under one of these names, or issue the server's certificate anew with \
                                     `scs ca issue server NAME --address …`"
                .to_owned(),
            Trouble::Another { .. } => "is the address right? nothing was said to it".to_owned(),
            Trouble::Purpose { .. } => {
                "a server's certificate is wanted here: `scs ca issue server` makes one".to_owned()
            }
            Trouble::Identity(_) => "take one that `scs ca issue` made".to_owned(),
            Trouble::Plain => "is it the right port? only on loopback may a server listen without TLS".to_owned(),
            Trouble::Other(_) => "see the log of the peer".to_owned(),
        }
    }
}
