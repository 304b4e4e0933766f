//! What is provided, and what a subscriber gets of it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    check::{check_attributes, check_host, check_instance},
    name::{Invalid, Name},
    version::Version,
};

/// Transport of an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// How a provided endpoint is, in its provider's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It works.
    #[default]
    Passing,
    /// It is about to go and works until then; delivered while nothing passing is there.
    Draining,
    /// It does not work; delivered, marked, while nothing better is there.
    Failing,
}

/// Why an endpoint went from a subscriber's set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Withdrawn, or its session closed.
    Left,
    /// Its container ended.
    Died,
    /// Its provider's connection ended and was not resumed within the session's window.
    Lost,
    /// Its provider fell silent.
    Expired,
    /// It is there, but no longer what was asked for: attributes, health or preference changed.
    Unmatched,
    /// A planned move: its successor is there, or was given up on.
    Draining,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Left => "left",
            Reason::Died => "died",
            Reason::Lost => "lost",
            Reason::Expired => "expired",
            Reason::Unmatched => "unmatched",
            Reason::Draining => "draining",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One provided endpoint, as its provider announces it. Its identity is `name` and `instance`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// What it is called.
    pub name: Name,
    /// Which of that name, e.g. the container's run id.
    pub instance: String,
    /// IPv4 address, IPv6 address (without brackets) or host name.
    pub host: String,
    /// Port on that host.
    pub port: u16,
    /// Transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// What subscribers can match and prefer: `zone`, `dc`, `host`, `version`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// How it is.
    #[serde(default)]
    pub health: Health,
    /// Grows when the same host provides the same identity again from lost state; the higher wins.
    #[serde(default)]
    pub incarnation: u64,
}

/// One endpoint as subscribers get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What it is called.
    pub name: Name,
    /// Which of that name.
    pub instance: String,
    /// IPv4 address, IPv6 address (without brackets) or host name.
    pub host: String,
    /// Port on that host.
    pub port: u16,
    /// Transport.
    #[serde(default)]
    pub protocol: Protocol,
    /// Attributes as provided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// How it is.
    #[serde(default)]
    pub health: Health,
    /// Kept although its provider fell silent, because too many did so at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    /// Changes with any of the above, the same on every server.
    pub version: Version,
}

impl Endpoint {
    /// The endpoint that subscribers get of a provision.
    pub fn of(provision: &Provision) -> Self {
        let mut endpoint = Self {
            name: provision.name.clone(),
            instance: provision.instance.clone(),
            host: provision.host.clone(),
            port: provision.port,
            protocol: provision.protocol,
            attributes: provision.attributes.clone(),
            health: provision.health,
            suspect: false,
            version: Version(0),
        };
        endpoint.version = Version::of(&endpoint);
        endpoint
    }

    /// What names it inside one requirement: `role/instance`.
    pub fn key(&self) -> String {
        key(&self.name, &self.instance)
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// What names a provision inside one requirement: `role/instance`. The other parts are fixed by the requirement.
pub(crate) fn key(name: &Name, instance: &str) -> String {
    let mut key = String::with_capacity(name.role.len() + 1 + instance.len());
    key.push_str(&name.role);
    key.push('/');
    key.push_str(instance);
    key
}

impl Provision {
    /// A healthy TCP provision without attributes.
    pub fn new(name: Name, instance: &str, host: &str, port: u16) -> Self {
        Self {
            name,
            instance: instance.to_owned(),
            host: host.to_owned(),
            port,
            protocol: Protocol::Tcp,
            attributes: BTreeMap::new(),
            health: Health::Passing,
            incarnation: 0,
        }
    }

    /// What names it inside one requirement: `role/instance`.
    pub fn key(&self) -> String {
        key(&self.name, &self.instance)
    }

    /// Whether every part and bound holds.
    pub fn check(&self) -> Result<(), Invalid> {
        self.name.check()?;
        check_instance(&self.instance)?;
        check_host(&self.host)?;
        if self.port == 0 {
            return Err(Invalid::Text { what: "port", rule: "1 to 65535" });
        }
        check_attributes(&self.attributes)
    }
}
