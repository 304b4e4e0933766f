//! Who may ask for what. Pure: what a request takes is read from its method and path, who asks was found out before.
//!
//! | who | may |
//! |---|---|
//! | nobody, without a certificate | join |
//! | a host | renew its certificate, fetch sources, ask for images |
//! | a person with role `read` | look, in their environments |
//! | with role `deploy` | change what runs there |
//! | with role `admin`, and the owner of the server's socket | everything |
//!
//! A path that is not in the table takes an administrator.

#[cfg(test)]
mod tests;

use scs_api::error::{Code, Problem};
use scs_api::person::Role;

/// What a request takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: a token is in the request.
    Nothing,
    /// A certificate.
    Certificate,
    /// To be a host, or a role somewhere.
    HostOr(Role),
    /// A role: in this environment, or anywhere where there is none; what is answered is cut down to what may be seen.
    Role(Role, Option<String>),
}

/// Who asks, as the connection proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever may open the server's own socket.
    Owner,
    Person(String),
    Host(String),
    Nobody,
}

/// Who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) who: Who,
    /// `None` for whoever is no person.
    pub(crate) role: Option<Role>,
    /// In which environments; `*` is any.
    pub(crate) environments: Vec<String>,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("owner"),
            Self::Person(name) => write!(f, "person {name}"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

/// What a request takes.
pub(crate) fn need(method: &str, path: &str) -> Need {
    let looks = matches!(method, "GET" | "HEAD");
    let admin = Need::Role(Role::Admin, None);
    let Some(rest) = path.strip_prefix("/v1/") else { return admin };
    let parts: Vec<&str> = rest.split('/').collect();
    let read = || Need::Role(Role::Read, None);
    match parts.as_slice() {
        ["join"] => Need::Nothing,
        ["renew"] => Need::Certificate,
        ["version"] if looks => Need::HostOr(Role::Read),
        ["bundles", _] => {
            if looks {
                Need::HostOr(Role::Read)
            } else {
                Need::Role(Role::Deploy, None)
            }
        }
        ["images", _, "claim"] => Need::HostOr(Role::Admin),
        ["services", environment, _, rest @ ..] => {
            // To plan is to look, whatever the method.
            let role = if looks || *rest == ["plan"] { Role::Read } else { Role::Deploy };
            Need::Role(role, Some((*environment).to_owned()))
        }
        // Which environment it is in is seen once it has been found.
        ["instances", _, "exec"] => Need::Role(Role::Deploy, None),
        ["volumes", environment, .., "data"] if method != "DELETE" => {
            Need::Role(Role::Deploy, Some((*environment).to_owned()))
        }
        ["environments" | "instances" | "logs" | "volumes" | "disco" | "hosts"] | ["disco", "watch"] | ["hosts", _]
            if looks =>
        {
            read()
        }
        ["disco", "resolve"] => read(),
        _ => admin,
    }
}

impl Access {
    /// Whoever may do everything.
    pub(crate) fn owner() -> Self {
        Self { who: Who::Owner, role: Some(Role::Admin), environments: vec!["*".to_owned()] }
    }

    /// Refuses what they may not do.
    pub(crate) fn permit(&self, need: &Need) -> Result<(), Problem> {
        match need {
            Need::Nothing => Ok(()),
            Need::Certificate if matches!(self.who, Who::Person(_) | Who::Host(_)) => Ok(()),
            Need::Certificate => Err(Problem::new(Code::Forbidden, "only the holder of a certificate can renew it")
                .hint("nothing was changed; `scs host token` and `scs person token` make tokens to join with")),
            Need::HostOr(_) if matches!(self.who, Who::Host(_)) => Ok(()),
            Need::HostOr(role) => self.may(*role, None),
            Need::Role(role, environment) => self.may(*role, environment.as_deref()),
        }
    }

    /// Refuses what they may not do in an environment, or anywhere.
    pub(crate) fn may(&self, role: Role, environment: Option<&str>) -> Result<(), Problem> {
        let enough = self.role.is_some_and(|own| own >= role);
        if enough && environment.is_none_or(|it| self.sees(it)) {
            return Ok(());
        }
        let place = environment.map(|it| format!(" in environment {it}")).unwrap_or_default();
        let takes = if role == Role::Admin { "an administrator".to_owned() } else { format!("the role {role}{place}") };
        Err(match (&self.who, self.role) {
            (Who::Person(name), Some(own)) => {
                let has = format!("{own} in {}", self.environments.join(", "));
                let (to, add) = (role.max(own), environment.map(|it| format!(" --env {it}")).unwrap_or_default());
                Problem::new(Code::Forbidden, format!("this takes {takes}; {name} has {has}")).hint(format!(
                    "nothing was changed; an administrator may let you with `scs person set {name} --role {to}{add}`"
                ))
            }
            (Who::Host(name), _) => {
                Problem::new(Code::Forbidden, format!("this takes {takes}, and host {name} is a machine"))
                    .hint("nothing was changed; people have contexts of their own: `scs context add`")
            }
            _ => Problem::new(Code::Forbidden, format!("this takes {takes}, and you have shown no certificate")).hint(
                "nothing was changed; an administrator makes a token with `scs person token NAME --role ROLE`, and `scs context add` takes it",
            ),
        })
    }

    /// Whether an environment is one of theirs.
    pub(crate) fn sees(&self, environment: &str) -> bool {
        self.role == Some(Role::Admin) || self.environments.iter().any(|it| it == "*" || it == environment)
    }

    /// Whose name goes into the history: the certificate's, or, for whoever owns the socket, the one they give themselves.
    pub(crate) fn name(&self, claimed: String) -> String {
        match &self.who {
            Who::Owner => claimed,
            Who::Person(name) => name.clone(),
            other => other.to_string(),
        }
    }
}
