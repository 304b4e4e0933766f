//! The name of an endpoint: `environment/service/role/endpoint`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits;

/// The name of a provided endpoint, e.g. `prod/public-blog/wordpress/http`. Each part is a DNS label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Environment, e.g. `prod`.
    pub environment: String,
    /// Service, e.g. `public-blog`.
    pub service: String,
    /// Role, e.g. `wordpress`.
    pub role: String,
    /// Endpoint, e.g. `http`.
    pub endpoint: String,
}

/// Why a text is not a name, an instance or another bounded text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A name needs exactly four parts.
    #[error("`{0}` is not `environment/service/role/endpoint`")]
    Parts(String),
    /// One part is not a DNS label.
    #[error("{part} `{text}` is not a DNS label (1 to 63 of a-z, 0-9 and -, neither first nor last a -)")]
    Label {
        /// Which part it is.
        part: &'static str,
        /// What was there.
        text: String,
    },
    /// A text is empty, too long, or has characters that it may not have.
    #[error("{what} must be {rule}")]
    Text {
        /// What it is.
        what: &'static str,
        /// What holds for it.
        rule: &'static str,
    },
}

/// Whether `text` is a DNS label: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most 63 bytes.
pub fn label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    !bytes.is_empty()
        && bytes.len() <= limits::LABEL
        && bytes.iter().all(inner)
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

pub(crate) fn check_label(part: &'static str, text: &str) -> Result<(), Invalid> {
    if label(text) { Ok(()) } else { Err(Invalid::Label { part, text: shortened(text) }) }
}

/// What an error quotes of a text that may be a megabyte long.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The four parts of a text, unchecked.
pub(crate) fn split(text: &str) -> Result<[&str; 4], Invalid> {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(a), Some(b), Some(c), Some(d), None) => Ok([a, b, c, d]),
        _ => Err(Invalid::Parts(shortened(text))),
    }
}

impl Name {
    /// A name of four parts, checked.
    pub fn new(environment: &str, service: &str, role: &str, endpoint: &str) -> Result<Self, Invalid> {
        let name = Self {
            environment: environment.to_owned(),
            service: service.to_owned(),
            role: role.to_owned(),
            endpoint: endpoint.to_owned(),
        };
        name.check().map(|()| name)
    }

    /// Whether every part is a DNS label.
    pub fn check(&self) -> Result<(), Invalid> {
        check_label("environment", &self.environment)?;
        check_label("service", &self.service)?;
        check_label("role", &self.role)?;
        check_label("endpoint", &self.endpoint)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.environment, self.service, self.role, self.endpoint)
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let [environment, service, role, endpoint] = split(text)?;
        Self::new(environment, service, role, endpoint)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name `environment/service/role/endpoint`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
