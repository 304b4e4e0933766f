//! The messages: JSON-RPC 2.0 requests, notifications and answers, in both directions.

mod look;
mod provide;
mod require;
mod session;
mod shared;

use serde::{Deserialize, Serialize};

pub use self::{look::*, provide::*, require::*, session::*};
use crate::{
    check::{check_attributes, check_instance, check_text},
    failure::Failure,
    limits,
    model::Provision,
    name::Invalid,
    query::Query,
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
