//! The messages: JSON-RPC 2.0 requests, notifications and answers, in both directions.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    limits,
    model::{Endpoint, Provision, Query, Reason, Version, check_attributes, check_instance, check_text},
    name::{Invalid, Name},
};

/// A JSON-RPC id: a number or a short text, chosen by who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// The usual.
    Number(u64),
    /// For those who like words.
    Text(Box<str>),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A request (with an id) or a notification (without).
    Call {
        /// What the answer will carry.
        id: Option<Id>,
        /// What is asked.
        method: Method,
    },
    /// The answer to a request of the other side.
    Answer {
        /// The request's id; `None` when the request was too broken to have one.
        id: Option<Id>,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
}

/// What is asked or told.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Client: who I am. The first message of a connection.
    Open(Open),
    /// Client: I shall be away for a while, on purpose.
    Park(Park),
    /// Client: I am going; all that I provide has left.
    Close,
    /// Either side: I am here.
    Ping,
    /// Client: I have an endpoint (anew, or changed).
    Provide(Provision),
    /// Client: it is going.
    Withdraw(Withdraw),
    /// Client: I need endpoints.
    Require(Require),
    /// Client: I work with the endpoints of this `seq` now.
    Applied(Applied),
    /// Client: I no longer need them.
    Unrequire(Unrequire),
    /// Client: what is there right now?
    Resolve(Query),
    /// Client: who provides and requires what?
    List(List),
    /// Server: your endpoints changed.
    Changed(Changed),
    /// Server: forget what you had; these are your endpoints.
    Snapshot(Snapshot),
    /// Server: a `snapshot` that starts `seq` anew follows.
    Reset(Reset),
    /// Server: I am going; come back, to me or another.
    Drain(Drain),
}

impl Method {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Open(_) => "session.open",
            Method::Park(_) => "session.park",
            Method::Close => "session.close",
            Method::Ping => "ping",
            Method::Provide(_) => "provide",
            Method::Withdraw(_) => "withdraw",
            Method::Require(_) => "require",
            Method::Applied(_) => "applied",
            Method::Unrequire(_) => "unrequire",
            Method::Resolve(_) => "resolve",
            Method::List(_) => "list",
            Method::Changed(_) => "changed",
            Method::Snapshot(_) => "snapshot",
            Method::Reset(_) => "reset",
            Method::Drain(_) => "drain",
        }
    }

    /// Whether every bound holds that the types alone do not promise.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Method::Open(open) => {
                check_text("agent", &open.agent)?;
                check_attributes(&open.attributes)
            }
            Method::Provide(provision) => provision.check(),
            Method::Withdraw(withdraw) => {
                withdraw.name.check()?;
                check_instance(&withdraw.instance)
            }
            Method::Require(require) => check_text("id", &require.id),
            _ => Ok(()),
        }
    }
}

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

/// Answer to `provide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provided {
    /// The registry's revision that holds it.
    pub rev: u64,
}

/// Parameters of `withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// What it is called.
    pub name: Name,
    /// Which of that name.
    pub instance: String,
    /// `left`, `died` or `draining`.
    pub reason: Reason,
    /// Milliseconds that the answer may wait for every subscriber to have applied it; 0 or none: it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// Milliseconds that it stays usable while a subscriber has no successor for it; none: it goes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor_by: Option<u64>,
}

/// Answer to `withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The registry's revision without it.
    pub rev: u64,
    /// Who had not applied it by the deadline: `REQUIREMENT@AGENT`, in alphabetical order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapplied: Vec<String>,
}

/// Parameters of `require`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Require {
    /// The subscriber's own word for it, unique in its session; requiring it again replaces it.
    pub id: String,
    /// What is asked for.
    #[serde(flatten)]
    pub query: Query,
    /// What the subscriber still has, `ROLE/INSTANCE` → version; the answer is the difference.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<String, Version>,
}

/// A difference; the answer to `require`, and the better part of `changed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Grows by one with each difference of this requirement.
    pub seq: u64,
    /// The registry's revision it is true at.
    pub rev: u64,
    /// Whether the registry has heard of everyone since its start. While not, nothing unheard of is dropped.
    pub complete: bool,
    /// New ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub add: Vec<Arc<Endpoint>>,
    /// Changed ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "shared")]
    pub update: Vec<Arc<Endpoint>>,
    /// Those that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Gone>,
}

/// An endpoint that went from a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// `ROLE/INSTANCE`.
    pub key: String,
    /// Why.
    pub reason: Reason,
}

/// Parameters of `changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which requirement.
    pub id: String,
    /// The difference.
    #[serde(flatten)]
    pub change: Change,
}

/// Parameters of `snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which requirement.
    pub id: String,
    /// Where its `seq` starts anew.
    pub seq: u64,
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// The whole set.
    #[serde(with = "shared")]
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Parameters of `applied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which requirement.
    pub id: String,
    /// Up to here the subscriber works with it.
    pub seq: u64,
}

/// Parameters of `unrequire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrequire {
    /// Which requirement.
    pub id: String,
}

/// Parameters of `reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Which requirement.
    pub id: String,
    /// Why, for people.
    pub why: String,
}

/// Parameters of `drain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Milliseconds after which to come back, at the earliest.
    pub retry_after: u64,
}

/// Answer to `resolve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// What a requirement would get now.
    #[serde(with = "shared")]
    pub endpoints: Vec<Arc<Endpoint>>,
}

/// Parameters of `list`; what is not given is not filtered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Only of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only of this role; a requirement for any role (`*`) is listed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Answer to `list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The registry's revision it is true at.
    pub rev: u64,
    /// As in a change.
    pub complete: bool,
    /// More matched than one line holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Who provides.
    pub provisions: Vec<ListedProvision>,
    /// Who requires.
    pub requirements: Vec<ListedRequirement>,
}

/// One provision in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedProvision {
    /// As subscribers get it.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Its provider's incarnation.
    pub incarnation: u64,
    /// Who provides it, in its own words.
    pub agent: String,
    /// Whether its provider is connected now.
    pub connected: bool,
    /// Whether it is being withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
}

/// One requirement in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRequirement {
    /// The subscriber's own word for it.
    pub id: String,
    /// What is asked for.
    #[serde(flatten)]
    pub query: Query,
    /// Who requires it, in its own words.
    pub agent: String,
    /// Whether the subscriber is connected now.
    pub connected: bool,
    /// The last `seq` sent.
    pub seq: u64,
    /// The last `seq` applied.
    pub applied: u64,
    /// `ROLE/INSTANCE` of what it was last told.
    pub endpoints: Vec<String>,
}

/// What came of a request. Written by its type; read back as JSON, since an answer does not say what it answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of `session.open`.
    Opened(Opened),
    /// Of `ping`.
    Pong(Pong),
    /// Of `provide`.
    Provided(Provided),
    /// Of `withdraw`.
    Withdrawn(Withdrawn),
    /// Of `require`.
    Change(Change),
    /// Of `resolve`.
    Resolved(Resolved),
    /// Of `list`.
    Listing(Box<Listing>),
    /// Of everything else: `{}`.
    Done {},
    /// As read from the wire.
    Json(serde_json::Value),
}

impl Answer {
    /// Reads an answer from the wire as what it should be.
    pub fn parse<T: serde::de::DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        match self {
            Answer::Json(value) => serde_json::from_value(value),
            other => serde_json::from_value(serde_json::to_value(other)?),
        }
    }
}

impl Id {
    /// Whether it is short enough to be kept.
    pub(crate) fn fits(&self) -> bool {
        match self {
            Id::Number(_) => true,
            Id::Text(text) => text.len() <= limits::TEXT,
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Id::Number(number)
    }
}

/// Lists of shared endpoints: one endpoint goes to many subscribers and is not copied for each.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::Endpoint;

    pub fn serialize<S: Serializer>(list: &[Arc<Endpoint>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|endpoint| &**endpoint))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Endpoint>>, D::Error> {
        Ok(Vec::<Endpoint>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
    }
}
