//! Who a certificate's holder is and what it may do: URIs among the subject's alternative names.
//!
//! | URI | meaning |
//! |---|---|
//! | `scs:server:NAME`, `scs:host:NAME`, `scs:person:NAME` | who it is; exactly one of them |
//! | `scs:provide:ENV/SERVICE` | it may provide there; either part may be `*`, any |
//! | `scs:require:ENV/SERVICE` | it may require, list and watch there |

use std::{fmt, str::FromStr, sync::Arc};

use disco_core::{Grants, Permit, Scope};
use serde::{Deserialize, Serialize};

/// What kind of peer somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A server: others connect to it, under the addresses in its certificate.
    Server,
    /// A host that runs services. Others connect to it, under its name.
    Host,
    /// A person, or a script that works for one.
    Person,
}

impl Kind {
    /// The word in the URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Host => "host",
            Kind::Person => "person",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        [Kind::Server, Kind::Host, Kind::Person]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| NotAnIdentity::Unknown(text.chars().take(80).collect()))
    }
}

/// Who somebody is and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What kind of peer.
    pub kind: Kind,
    /// Its name, e.g. `web1` or `web1.example.org`.
    pub name: String,
    /// Where it may provide.
    pub provide: Vec<Scope>,
    /// Where it may require, list and watch.
    pub require: Vec<Scope>,
}

/// Names do not make an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentity {
    /// The certificate is of somebody else's making.
    #[error("it does not say who it is: no name `scs:server:…`, `scs:host:…` or `scs:person:…`")]
    Missing,
    /// One certificate, one holder.
    #[error("it says twice who it is")]
    Twice,
    /// Of a later version, perhaps: what is not understood may restrict what is.
    #[error("`{0}` is not understood")]
    Unknown(String),
    /// The name is none.
    #[error("`{0}` is no name: labels of 1 to 63 of a-z, 0-9 and -, joined by dots, 253 bytes at most")]
    Name(String),
    /// A scope is none.
    #[error(transparent)]
    Scope(#[from] disco_core::NotAScope),
}

const SCHEME: &str = "scs:";

impl Identity {
    /// Somebody who may do nothing yet.
    ///
    /// # Errors
    /// Where the name is none.
    pub fn new(kind: Kind, name: &str) -> Result<Self, NotAnIdentity> {
        if name.len() > 253 || !name.split('.').all(disco_proto::label) {
            return Err(NotAnIdentity::Name(name.chars().take(80).collect()));
        }
        Ok(Self { kind, name: name.to_owned(), provide: Vec::new(), require: Vec::new() })
    }

    /// The URIs that say it.
    pub fn uris(&self) -> Vec<String> {
        let who = format!("{SCHEME}{}:{}", self.kind, self.name);
        let provide = self.provide.iter().map(|scope| format!("{SCHEME}provide:{scope}"));
        let require = self.require.iter().map(|scope| format!("{SCHEME}require:{scope}"));
        std::iter::once(who).chain(provide).chain(require).collect()
    }

    /// What the URIs of a certificate say. Those of other schemes say nothing to us.
    ///
    /// # Errors
    /// Where it is not exactly one identity, or something of ours is not understood.
    pub fn of_uris<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAnIdentity> {
        let (mut who, mut provide, mut require) = (None, Vec::new(), Vec::new());
        for uri in uris {
            let Some(rest) = uri.strip_prefix(SCHEME) else { continue };
            let unknown = || NotAnIdentity::Unknown(uri.chars().take(80).collect());
            let (word, value) = rest.split_once(':').ok_or_else(unknown)?;
            match word {
                "provide" => provide.push(value.parse()?),
                "require" => require.push(value.parse()?),
                kind => {
                    let kind = kind.parse().map_err(|_| unknown())?;
                    if who.replace(Self::new(kind, value)?).is_some() {
                        return Err(NotAnIdentity::Twice);
                    }
                }
            }
        }
        let who = who.ok_or(NotAnIdentity::Missing)?;
        Ok(Self { provide, require, ..who })
    }

    /// The host that what it provides belongs to. A person is none, and its name cannot be taken for that of one.
    pub fn host(&self) -> String {
        match self.kind {
            Kind::Server | Kind::Host => self.name.clone(),
            Kind::Person => format!("person:{}", self.name),
        }
    }

    /// What the registry lets it do.
    pub fn grants(&self) -> Grants {
        Grants::Only(Arc::new(Permit {
            host: self.host(),
            provide: self.provide.clone(),
            require: self.require.clone(),
        }))
    }
}

/// `host web1`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut identity = Identity::new(Kind::Host, "web1.example.org").unwrap();
        identity.provide.push("prod/public-blog".parse().unwrap());
        identity.require.push("prod/*".parse().unwrap());
        let uris = identity.uris();
        assert_eq!(uris, ["scs:host:web1.example.org", "scs:provide:prod/public-blog", "scs:require:prod/*"]);
        let with_others = uris.iter().map(String::as_str).chain(["spiffe://else/where"]);
        assert_eq!(Identity::of_uris(with_others), Ok(identity));
    }

    #[test]
    fn nobody_two_people_and_words_of_a_later_version_are_refused() {
        let of = |uris: &[&str]| Identity::of_uris(uris.iter().copied()).unwrap_err().to_string();
        assert!(of(&["spiffe://else/where"]).starts_with("it does not say who it is"));
        assert_eq!(of(&["scs:host:a", "scs:person:a"]), "it says twice who it is");
        assert_eq!(of(&["scs:host:a", "scs:only-on:monday"]), "`scs:only-on:monday` is not understood");
        assert!(of(&["scs:host:Not a name"]).starts_with("`Not a name` is no name"));
        assert!(of(&["scs:host:a", "scs:provide:prod"]).contains("`prod`"));
    }

    #[test]
    fn a_person_cannot_pass_for_a_host() {
        let host = Identity::new(Kind::Host, "web1").unwrap();
        let person = Identity::new(Kind::Person, "web1").unwrap();
        assert_ne!(host.host(), person.host());
        assert!(Identity::new(Kind::Host, "person:web1").is_err());
    }
}
