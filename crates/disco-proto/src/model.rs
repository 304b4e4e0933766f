//! What is provided, what is required, and what a subscriber gets.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    limits,
    name::{Invalid, Name, check_label, split},
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

/// A fingerprint of an endpoint's content. Two servers that hold the same endpoint say the same version, so a
/// client that resumes elsewhere is sent nothing it has. Sixteen hexadecimal digits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The fingerprint of everything in `endpoint` but its version: FNV-1a over the fields, each ended by a byte that is
    /// not UTF-8. It guards against missed changes, not against forgery.
    pub fn of(endpoint: &Endpoint) -> Self {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        hash.text(&endpoint.name.environment);
        hash.text(&endpoint.name.service);
        hash.text(&endpoint.name.role);
        hash.text(&endpoint.name.endpoint);
        hash.text(&endpoint.instance);
        hash.text(&endpoint.host);
        hash.bytes(&endpoint.port.to_be_bytes());
        hash.bytes(&[endpoint.protocol as u8, endpoint.health as u8, u8::from(endpoint.suspect)]);
        for (attribute, value) in &endpoint.attributes {
            hash.text(attribute);
            hash.text(value);
        }
        Self(hash.0)
    }
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version of 16 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
                let valid = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                match u64::from_str_radix(text, 16) {
                    Ok(number) if valid => Ok(Version(number)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// What must hold of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "RawCondition")]
pub enum Condition {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these, or absent.
    Not(Vec<String>),
    /// It is there, or is not.
    Exists(bool),
}

impl Condition {
    /// Whether it holds of an attribute's value.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Condition::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Condition::Not(values) => !value.is_some_and(|value| values.iter().any(|v| v == value)),
            Condition::Exists(there) => value.is_some() == *there,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::In(values) if values.len() == 1 => write!(f, "is {}", values[0]),
            Condition::In(values) => write!(f, "is one of {}", values.join(", ")),
            Condition::Not(values) => write!(f, "is none of {}", values.join(", ")),
            Condition::Exists(true) => f.write_str("is there"),
            Condition::Exists(false) => f.write_str("is absent"),
        }
    }
}

/// A plain text is short for `{"in": [TEXT]}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawCondition {
    Equals(String),
    Tagged(TaggedCondition),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TaggedCondition {
    In(Vec<String>),
    Not(Vec<String>),
    Exists(bool),
}

impl From<RawCondition> for Condition {
    fn from(raw: RawCondition) -> Self {
        match raw {
            RawCondition::Equals(value) => Condition::In(vec![value]),
            RawCondition::Tagged(TaggedCondition::In(values)) => Condition::In(values),
            RawCondition::Tagged(TaggedCondition::Not(values)) => Condition::Not(values),
            RawCondition::Tagged(TaggedCondition::Exists(there)) => Condition::Exists(there),
        }
    }
}

/// What a subscriber asks for. On the wire the four parts are one `name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawQuery", into = "RawQuery")]
pub struct Query {
    /// Environment part of the name.
    pub environment: String,
    /// Service part of the name.
    pub service: String,
    /// Role part of the name, or `*` for any.
    pub role: String,
    /// Endpoint part of the name.
    pub endpoint: String,
    /// Attributes that must hold.
    pub r#match: BTreeMap<String, Condition>,
    /// Attributes that should equal the subscriber's own, the most important first. Only the best tier that is not empty is
    /// delivered.
    pub prefer: Vec<String>,
    /// The subscriber's own instance, which never matches, so that no container is told to talk to itself.
    pub instance: Option<String>,
}

impl Query {
    /// A query for every endpoint of one name, without conditions.
    pub fn of(name: &Name) -> Self {
        Self {
            environment: name.environment.clone(),
            service: name.service.clone(),
            role: name.role.clone(),
            endpoint: name.endpoint.clone(),
            r#match: BTreeMap::new(),
            prefer: Vec::new(),
            instance: None,
        }
    }

    /// Its name part: `environment/service/role/endpoint`, the role possibly `*`.
    pub fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.environment, self.service, self.role, self.endpoint)
    }

    /// Whether every part and bound holds.
    pub fn check(&self) -> Result<(), Invalid> {
        check_label("environment", &self.environment)?;
        check_label("service", &self.service)?;
        if self.role != "*" {
            check_label("role", &self.role)?;
        }
        check_label("endpoint", &self.endpoint)?;
        let values = |condition: &Condition| match condition {
            Condition::In(values) | Condition::Not(values) => values.len() <= limits::CONDITIONS,
            Condition::Exists(_) => true,
        };
        if self.r#match.len() > limits::CONDITIONS || !self.r#match.values().all(values) {
            return Err(Invalid::Text { what: "match", rule: "at most 64 conditions of at most 64 values" });
        }
        if self.prefer.len() > limits::CONDITIONS {
            return Err(Invalid::Text { what: "prefer", rule: "at most 64 attributes" });
        }
        self.instance.as_deref().map_or(Ok(()), check_instance)
    }

    /// Whether role, instance and the hard conditions hold of an endpoint. Environment, service and endpoint are compared by who
    /// asks.
    pub fn admits(&self, role: &str, instance: &str, attributes: &BTreeMap<String, String>) -> bool {
        (self.role == "*" || self.role == role)
            && self.instance.as_deref() != Some(instance)
            && self.r#match.iter().all(|(name, condition)| condition.holds(attributes.get(name).map(String::as_str)))
    }

    /// In words, what keeps an endpoint from being admitted.
    pub fn objection(&self, role: &str, instance: &str, attributes: &BTreeMap<String, String>) -> Option<String> {
        if self.role != "*" && self.role != role {
            return Some(format!("its role is {role}, not {}", self.role));
        }
        if self.instance.as_deref() == Some(instance) {
            return Some("it is the subscriber itself".to_owned());
        }
        self.r#match.iter().find_map(|(name, condition)| {
            let value = attributes.get(name).map(String::as_str);
            let found = value.map_or_else(|| "absent".to_owned(), |value| format!("`{value}`"));
            (!condition.holds(value)).then(|| format!("required: {name} {condition}; it is {found}"))
        })
    }
}

#[derive(Serialize, Deserialize)]
struct RawQuery {
    name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    r#match: BTreeMap<String, Condition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefer: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}

impl TryFrom<RawQuery> for Query {
    type Error = Invalid;

    fn try_from(raw: RawQuery) -> Result<Self, Invalid> {
        let [environment, service, role, endpoint] = split(&raw.name)?.map(str::to_owned);
        let RawQuery { r#match, prefer, instance, .. } = raw;
        let query = Self { environment, service, role, endpoint, r#match, prefer, instance };
        query.check().map(|()| query)
    }
}

impl From<Query> for RawQuery {
    fn from(query: Query) -> Self {
        Self { name: query.name(), r#match: query.r#match, prefer: query.prefer, instance: query.instance }
    }
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

/// An instance: 1 to 253 of letters, digits, `.`, `_` and `-`.
pub(crate) fn check_instance(instance: &str) -> Result<(), Invalid> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !instance.is_empty() && instance.len() <= limits::TEXT && instance.bytes().all(valid) {
        Ok(())
    } else {
        Err(Invalid::Text { what: "instance", rule: "1 to 253 of letters, digits, `.`, `_` and `-`" })
    }
}

fn check_host(host: &str) -> Result<(), Invalid> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let name = !host.is_empty() && host.len() <= limits::TEXT && host.bytes().all(valid);
    // A zone (`fe80::1%eth0`) means nothing on another host, and `IpAddr` refuses it.
    if name || host.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(Invalid::Text { what: "host", rule: "an IPv4 address, an IPv6 address without brackets, or a host name" })
    }
}

pub(crate) fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let fits = |(name, value): (&String, &String)| {
        let bounded = |text: &str| text.len() <= limits::ATTRIBUTE && !text.chars().any(char::is_control);
        !name.is_empty() && bounded(name) && bounded(value)
    };
    if attributes.len() <= limits::ATTRIBUTES && attributes.iter().all(fits) {
        Ok(())
    } else {
        Err(Invalid::Text {
            what: "attributes",
            rule: "at most 64, each name and value at most 1024 bytes without control characters",
        })
    }
}

pub(crate) fn check_text(what: &'static str, text: &str) -> Result<(), Invalid> {
    if !text.is_empty() && text.len() <= limits::TEXT && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Invalid::Text { what, rule: "1 to 253 bytes without control characters" })
    }
}
