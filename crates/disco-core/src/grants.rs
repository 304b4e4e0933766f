//! What a peer may do, as whoever let it in worked out: from its certificate, or from where it came.

use std::{fmt, str::FromStr, sync::Arc};

use disco_proto::{Code, Failure, Name, Provision, Query, label, message::Open};

use crate::record::Record;

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

/// Part of the names: `environment/service` or `environment/service/role`, each of them possibly `*`, any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// `None`: any.
    environment: Option<Box<str>>,
    /// `None`: any.
    service: Option<Box<str>>,
    /// `None`: any.
    role: Option<Box<str>>,
}

/// A text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `environment/service` or `environment/service/role`, each a DNS label or `*`")]
pub struct NotAScope(String);

impl Scope {
    /// Whether every name of this environment and service is in it, whatever the role.
    pub fn covers(&self, environment: &str, service: &str) -> bool {
        self.role.is_none() && self.touches(environment, service)
    }

    /// Whether names of this environment, service and role are in it. The role `*` stands for all of them.
    pub fn covers_role(&self, environment: &str, service: &str, role: &str) -> bool {
        self.role.as_deref().is_none_or(|own| own == role) && self.touches(environment, service)
    }

    /// Whether any name of this environment and service is in it.
    pub fn touches(&self, environment: &str, service: &str) -> bool {
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
        let (environment, rest) = text.split_once('/').unwrap_or((text, ""));
        let (service, role) = rest.split_once('/').unwrap_or((rest, "*"));
        let parts = (part(environment), part(service), part(role));
        let (Some(environment), Some(service), Some(role)) = parts else {
            return Err(NotAScope(text.chars().take(80).collect()));
        };
        Ok(Self { environment, service, role })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<Box<str>>| part.as_deref().unwrap_or("*").to_owned();
        write!(f, "{}/{}", part(&self.environment), part(&self.service))?;
        self.role.as_ref().map_or(Ok(()), |role| write!(f, "/{role}"))
    }
}

impl Grants {
    /// Nothing at all, as whoever.
    pub fn nothing() -> Self {
        Grants::Only(Arc::new(Permit { host: String::new(), provide: Vec::new(), require: Vec::new() }))
    }

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

    /// Whether a peer may be that host.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        match self {
            Grants::Everything => true,
            Grants::Only(permit) => permit.host == host,
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

    /// The same of what is provided.
    pub(crate) fn may_provide_record(&self, topic: &str, record: &Record) -> Result<(), Failure> {
        match self {
            Grants::Everything => Ok(()),
            Grants::Only(_) => self.may_provide_name(&record.name(topic)),
        }
    }

    pub(crate) fn may_provide_name(&self, name: &Name) -> Result<(), Failure> {
        let Grants::Only(permit) = self else { return Ok(()) };
        let Name { environment, service, role, .. } = name;
        if permit.provide.iter().any(|scope| scope.covers_role(environment, service, role)) {
            return Ok(());
        }
        let part = part(permit.provide.iter(), environment, service, role);
        Err(forbidden(&format!("{} may not provide in {part}", permit.host)))
    }

    pub(crate) fn may_require(&self, query: &Query) -> Result<(), Failure> {
        let Grants::Only(permit) = self else { return Ok(()) };
        let Query { environment, service, role, .. } = query;
        if permit.require.iter().any(|scope| scope.covers_role(environment, service, role)) {
            return Ok(());
        }
        let part = part(permit.require.iter(), environment, service, role);
        Err(forbidden(&format!("{} may not require in {part}", permit.host)))
    }

    /// Whether it may know of names of this environment and service.
    pub fn sees(&self, environment: &str, service: &str) -> bool {
        match self {
            Grants::Everything => true,
            Grants::Only(permit) => {
                permit.require.iter().chain(&permit.provide).any(|scope| scope.touches(environment, service))
            }
        }
    }
}

/// What was refused: the service, or the role of it where others are granted.
fn part<'a>(mut scopes: impl Iterator<Item = &'a Scope>, environment: &str, service: &str, role: &str) -> String {
    match scopes.any(|scope| scope.touches(environment, service)) {
        true => format!("{environment}/{service}/{role}"),
        false => format!("{environment}/{service}"),
    }
}

fn forbidden(words: &str) -> Failure {
    Failure::new(Code::Forbidden, format!("{words}; its certificate and what is assigned to it decide that"))
}
