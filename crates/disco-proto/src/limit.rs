//! Which bound a refusal with `limit` is about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// Connections of a server.
    Connections,
    /// Sessions of a server.
    Sessions,
    /// Endpoints that one session provides.
    Provisions,
    /// Requirements of one session.
    Requirements,
    /// Endpoints of one environment, service and endpoint name, whatever their role.
    Topic,
    /// Requests of one connection in a second.
    Messages,
}

impl Limit {
    /// Every limit there is.
    pub const ALL: [Limit; 6] =
        [Limit::Connections, Limit::Sessions, Limit::Provisions, Limit::Requirements, Limit::Topic, Limit::Messages];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::Sessions => "sessions",
            Limit::Provisions => "provisions",
            Limit::Requirements => "requirements",
            Limit::Topic => "topic",
            Limit::Messages => "messages",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
