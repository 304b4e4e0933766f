//! Errors as they travel: a stable code and words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limit::Limit;

/// What went wrong, for programs. Numbers and words are part of the protocol and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The line is not JSON, or longer than a line may be.
    Parse,
    /// JSON, but no message of the protocol.
    Invalid,
    /// No such method in this direction.
    Method,
    /// The method's parameters are wrong.
    Params,
    /// The receiver failed, not the sender.
    Internal,
    /// The peers share no version of the protocol.
    Protocol,
    /// `session.open` must come first, and once.
    Session,
    /// The same identity is provided from another host.
    Owned,
    /// The same identity is provided with a higher incarnation.
    Stale,
    /// The session has no such requirement.
    Requirement,
    /// A `seq` did not follow the one before it; the answer to it is a `reset`.
    Gap,
    /// More than the receiver takes.
    Limit,
    /// The server cannot take writes now; try again.
    Unavailable,
    /// The peer may not do this; whoever issued its certificate decides that.
    Forbidden,
    /// The peer's certificate has been revoked; the connection is closed.
    Revoked,
}

const CODES: [(Code, i64, &str); 15] = [
    (Code::Parse, -32700, "parse"),
    (Code::Invalid, -32600, "invalid_request"),
    (Code::Method, -32601, "method_not_found"),
    (Code::Params, -32602, "invalid_params"),
    (Code::Internal, -32603, "internal"),
    (Code::Protocol, -32001, "protocol_mismatch"),
    (Code::Session, -32002, "session_state"),
    (Code::Owned, -32003, "owned_by_other"),
    (Code::Stale, -32004, "stale_incarnation"),
    (Code::Requirement, -32005, "unknown_requirement"),
    (Code::Gap, -32006, "gap"),
    (Code::Limit, -32007, "limit"),
    (Code::Unavailable, -32008, "unavailable"),
    (Code::Forbidden, -32009, "forbidden"),
    (Code::Revoked, -32010, "certificate_revoked"),
];

impl Code {
    /// The JSON-RPC number.
    pub fn number(self) -> i64 {
        CODES.iter().find(|entry| entry.0 == self).map_or(-32603, |entry| entry.1)
    }

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        CODES.iter().find(|entry| entry.0 == self).map_or("internal", |entry| entry.2)
    }

    /// Every code there is.
    pub fn all() -> impl Iterator<Item = Code> {
        CODES.iter().map(|entry| entry.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error answer: `{"code": NUMBER, "message": WORDS, "data": {"code": WORD}}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(from = "Raw", into = "Raw")]
#[error("{message} ({code})")]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people: what, where, and what next.
    pub message: String,
    /// With [`Code::Limit`], which.
    pub limit: Option<Limit>,
}

impl Failure {
    /// An error with words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), limit: None }
    }

    /// Too much of something.
    pub fn limit(limit: Limit, message: impl Into<String>) -> Self {
        Self { code: Code::Limit, message: message.into(), limit: Some(limit) }
    }
}

#[derive(Serialize, Deserialize)]
struct Raw {
    code: i64,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

#[derive(Serialize, Deserialize)]
struct Data {
    #[serde(default)]
    code: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
    limit: Option<Limit>,
}

/// A limit that a newer peer knows is no reason not to understand the rest.
fn known<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Limit>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    Ok(Limit::ALL.into_iter().find(|limit| Some(limit.as_str()) == word.as_deref()))
}

impl From<Failure> for Raw {
    fn from(failure: Failure) -> Self {
        let data = Some(Data { code: failure.code.as_str().to_owned(), limit: failure.limit });
        Self { code: failure.code.number(), message: failure.message, data }
    }
}

impl From<Raw> for Failure {
    /// An unknown number is the receiver's own trouble: `internal`.
    fn from(raw: Raw) -> Self {
        let code = CODES.iter().find(|entry| entry.1 == raw.code).map_or(Code::Internal, |entry| entry.0);
        Self { code, message: raw.message, limit: raw.data.and_then(|data| data.limit) }
    }
}
