//! What is required: a name, conditions, preferences.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    check::check_instance,
    limits,
    name::{Invalid, Name, check_label, split},
};

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
        self.admits_by(role, instance, |name| attributes.get(name).map(String::as_str))
    }

    /// The same, where attributes are found in some other way.
    pub fn admits_by<'a>(&self, role: &str, instance: &str, attribute: impl Fn(&str) -> Option<&'a str>) -> bool {
        (self.role == "*" || self.role == role)
            && self.instance.as_deref() != Some(instance)
            && self.r#match.iter().all(|(name, condition)| condition.holds(attribute(name)))
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
