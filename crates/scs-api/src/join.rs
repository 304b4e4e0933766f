//! Joining: one-time tokens, and the certificates that hosts and people get for them.

use crate::person::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// `POST /v1/tokens`: makes a one-time token. Answered by [`Token`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Whom it is for.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// How many seconds it is good for; an hour without.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// Whom a token is for, and what they get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Purpose {
    /// A host.
    Host {
        /// The only name it may join under; any that is free without.
        name: Option<String>,
        /// Labels it has from the beginning; they win over those that it brings.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Whether it takes the place of the host of that name, whose certificates are revoked then: the same machine, set up
        /// anew. Where the certificate has ended, a token for its name does without.
        #[serde(default)]
        rejoin: bool,
    },
    /// A person, or a script that works for one.
    Person {
        /// Name.
        name: String,
        /// What they may do.
        role: Role,
        /// In which environments; `*` is any.
        environments: Vec<String>,
    },
}

/// A token that was made. It is nowhere else: what is kept is its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The token, as [`TokenText`] reads it.
    pub token: String,
    /// Until when it is good.
    #[serde(with = "crate::time")]
    pub expires: SystemTime,
    /// Whom it is for.
    pub purpose: Purpose,
}

/// A token as it is written: `scs1-SECRET-FINGERPRINT`. Its holder trusts the server of that authority on first contact.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText {
    /// 40 hexadecimal digits that only its holder knows.
    pub secret: String,
    /// SHA-256 of the authority's certificate, 64 hexadecimal digits.
    pub authority: String,
}

const PREFIX: &str = "scs1";

/// A text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no token: they look like `scs1-SECRET-FINGERPRINT`, with 40 and 64 hexadecimal digits")]
pub struct NotAToken;

impl fmt::Display for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}-{}-{}", self.secret, self.authority)
    }
}

/// Without the secret.
impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenText").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl FromStr for TokenText {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let mut parts = text.trim().split('-');
        let hex = |part: Option<&str>, length: usize| {
            part.filter(|it| it.len() == length && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .map(str::to_ascii_lowercase)
                .ok_or(NotAToken)
        };
        if parts.next() != Some(PREFIX) {
            return Err(NotAToken);
        }
        let text = Self { secret: hex(parts.next(), 40)?, authority: hex(parts.next(), 64)? };
        if parts.next().is_some() { Err(NotAToken) } else { Ok(text) }
    }
}

/// `POST /v1/join`, the one request that needs no certificate: a token becomes one. Answered by [`JoinResponse`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token, as it was printed.
    pub token: String,
    /// Request for a certificate, PEM; the key stays where it was made.
    pub csr: String,
    /// The clock of who asks.
    #[serde(with = "crate::time")]
    pub now: SystemTime,
    /// Version of the program that asks.
    pub version: String,
    /// What a host says of itself; not for people.
    #[serde(default)]
    pub host: Option<JoiningHost>,
}

/// What a host says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoiningHost {
    /// Name, a DNS label.
    pub name: String,
    /// `host:port` under which the server and other hosts reach its agent.
    pub advertise: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The cluster whose containers it runs, where it runs any.
    #[serde(default)]
    pub cluster: Option<String>,
}

/// A certificate, and what its holder needs to know of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinResponse {
    /// Who the certificate says its holder is, e.g. `host h2`.
    pub identity: String,
    /// The certificate, PEM, followed by those between it and an authority.
    pub certificate: String,
    /// Whom to trust, PEM.
    pub trusted: String,
    /// When it ends; to be renewed at half of its life.
    #[serde(with = "crate::time")]
    pub ends: SystemTime,
    /// Id of the cluster.
    pub cluster: String,
    /// Address of its discovery server.
    pub disco: String,
    /// Labels of a host, as the cluster has them now.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Version of the server.
    pub version: String,
    /// The server's clock.
    #[serde(with = "crate::time")]
    pub now: SystemTime,
}

/// `POST /v1/renew`, with the certificate that is to be renewed: another for the same holder. Answered by [`JoinResponse`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Request for a certificate, PEM.
    pub csr: String,
    /// `host:port` that a host advertises from now on, where it has changed.
    #[serde(default)]
    pub advertise: Option<String>,
    /// Version of the program that asks.
    #[serde(default)]
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_nothing_else_is_one() {
        let token = TokenText { secret: "ab".repeat(20), authority: "cd".repeat(32) };
        assert_eq!(format!(" {token}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("abab"), "its secret is in no log");
        for text in ["", "scs1", "scs1--", &format!("{token}-x"), &format!("scs2{}", &token.to_string()[4..])] {
            assert_eq!(text.parse::<TokenText>(), Err(NotAToken), "{text}");
        }
    }
}
