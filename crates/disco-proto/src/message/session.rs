//! Parameters and answers of sessions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Parameters of `session.open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// `disco/1`.
    pub protocol: String,
    /// Who speaks, for people: in lists, and in the answer to a `withdraw` that waits.
    pub agent: String,
    /// The client's own: `host`, `zone`, `dc`, …; `prefer` compares with them, and `host` owns what is provided.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Milliseconds that the session outlives its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// The session to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

/// A session to go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Its id.
    pub session: String,
    /// Proof that it is the client's own.
    pub token: String,
}

/// Answer to `session.open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The session's id.
    pub session: String,
    /// Proof for a later `resume`; verifies on every server of the registry.
    pub token: String,
    /// Whether it is the session asked for; otherwise it is new and empty.
    pub resumed: bool,
    /// Which start of which server this is; revisions of different epochs do not compare.
    pub epoch: String,
    /// Milliseconds after which the client must have said something, `ping` if nothing else. Three missed, and its endpoints
    /// expire.
    pub heartbeat: u64,
    /// Milliseconds that the session outlives its connection, as granted.
    pub window: u64,
    /// What a resumed session already provides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Identity>,
}

/// The identity of a provision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// What it is called.
    pub name: Name,
    /// Which of that name.
    pub instance: String,
}

/// Parameters of `session.park`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Park {
    /// Milliseconds that the session may be without a connection, once.
    pub r#for: u64,
}

/// Answer to `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// Milliseconds, as in the answer to `session.open`; may have grown with the number of clients.
    pub heartbeat: u64,
}

/// Parameters of `drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Milliseconds after which to come back, at the earliest.
    pub retry_after: u64,
}
