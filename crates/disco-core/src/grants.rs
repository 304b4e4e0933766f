//! What a peer may do, as whoever let it in worked out: from its certificate, or from where it came.

use std::{fmt, str::FromStr, sync::Arc};

use disco_proto::{Code, Failure, Name, Provision, Query, label, message::Open};

/// What a peer may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grants {
    /// Anything: it is on this machine.
    #[default]
    Everything,
    /// This much.
    Only(Arc<Permit>),
}

/// What a peer from elsewhere may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The host that it is. Its attribute `host` says this and nothing else, and so do those of what it provides.
    pub host: String,
    /// Where it may provide.
    pub provide: Vec<Scope>,
    /// Where it may require and ask.
    pub require: Vec<Scope>,
}

/// Part of the names: `environment/service`, either of them possibly `*`, any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// `None`: any.
    environment: Option<Box<str>>,
    /// `None`: any.
    service: Option<Box<str>>,
}

/// A text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `environment/service`, each a DNS label or `*`")]
pub struct NotAScope(String);

impl Scope {
    /// Whether names of this environment and service are in it.
    pub fn covers(&self, environment: &str, service: &str) -> bool {
        self.environment.as_deref().is_none_or(|own| own == environment)
            && self.service.as_deref().is_none_or(|own| own == service)
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        let part = |part: &str| match part {
            "*" => Some(None),
            part => label(part).then(|| Some(part.into())),
        };
        text.split_once('/')
            .and_then(|(environment, service)| Some(Self { environment: part(environment)?, service: part(service)? }))
            .ok_or_else(|| NotAScope(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<Box<str>>| part.as_deref().unwrap_or("*").to_owned();
        write!(f, "{}/{}", part(&self.environment), part(&self.service))
    }
}

impl Grants {
    /// Takes the peer's word for who it is, or refuses it; the host it must be is filled in.
    pub(crate) fn introduce(&self, open: &mut Open) -> Result<(), Failure> {
        let Grants::Only(permit) = self else { return Ok(()) };
        match open.attributes.get("host") {
            Some(host) if *host != permit.host => {
                Err(forbidden(&format!("this peer is the host {}, not {host}", permit.host)))
            }
            Some(_) => Ok(()),
            None => {
                open.attributes.insert("host".to_owned(), permit.host.clone());
                Ok(())
            }
        }
    }

    pub(crate) fn may_provide(&self, provision: &Provision) -> Result<(), Failure> {
        self.may_provide_name(&provision.name)?;
        match (self, provision.attributes.get("host")) {
            (Grants::Only(permit), Some(host)) if *host != permit.host => {
                Err(forbidden(&format!("{} provides for itself, not for the host {host}", permit.host)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn may_provide_name(&self, name: &Name) -> Result<(), Failure> {
        let Grants::Only(permit) = self else { return Ok(()) };
        if covered(&permit.provide, &name.environment, &name.service) {
            return Ok(());
        }
        let (environment, service) = (&name.environment, &name.service);
        Err(forbidden(&format!("{} may not provide in {environment}/{service}", permit.host)))
    }

    pub(crate) fn may_require(&self, query: &Query) -> Result<(), Failure> {
        let Grants::Only(permit) = self else { return Ok(()) };
        if covered(&permit.require, &query.environment, &query.service) {
            return Ok(());
        }
        let (environment, service) = (&query.environment, &query.service);
        Err(forbidden(&format!("{} may not require in {environment}/{service}", permit.host)))
    }

    /// Whether it may know of names of this environment and service.
    pub fn sees(&self, environment: &str, service: &str) -> bool {
        match self {
            Grants::Everything => true,
            Grants::Only(permit) => {
                covered(&permit.require, environment, service) || covered(&permit.provide, environment, service)
            }
        }
    }
}

fn covered(scopes: &[Scope], environment: &str, service: &str) -> bool {
    scopes.iter().any(|scope| scope.covers(environment, service))
}

fn forbidden(words: &str) -> Failure {
    Failure::new(Code::Forbidden, format!("{words}; whoever issued its certificate decides that"))
}
