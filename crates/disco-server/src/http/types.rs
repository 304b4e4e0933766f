//! What the HTTP API says.

use std::collections::BTreeMap;

use disco_core::{Filter, Observed, What};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Present;

/// Which endpoints; what is not given is not filtered.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only of this environment.
    pub(super) environment: Option<String>,
    /// Only of this service.
    pub(super) service: Option<String>,
    /// Only of this role.
    pub(super) role: Option<String>,
    /// Only endpoints called so.
    pub(super) endpoint: Option<String>,
}

impl From<Which> for Filter {
    fn from(which: Which) -> Self {
        let Which { environment, service, role, endpoint } = which;
        Self { environment, service, role, endpoint }
    }
}

/// Endpoints, and the state of the registry they are of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Endpoints {
    /// Which start of which server; `rev` compares only within one.
    pub(super) epoch: String,
    /// Revision of the registry.
    pub(super) rev: u64,
    /// Whether the registry has heard of everyone since the server's start.
    pub(super) complete: bool,
    /// By name and instance.
    pub(super) endpoints: Vec<Endpoint>,
}

/// One provided endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Endpoint {
    /// `environment/service/role/endpoint`.
    #[schema(example = "prod/public-blog/wordpress/http")]
    name: String,
    /// Which of that name.
    instance: String,
    /// IPv4 address, IPv6 address (without brackets) or host name.
    host: String,
    /// Port on that host.
    port: u16,
    /// `tcp` or `udp`.
    protocol: &'static str,
    /// Attributes as provided.
    attributes: BTreeMap<String, String>,
    /// `passing`, `draining` or `failing`.
    health: &'static str,
    /// Kept although its provider fell silent, because too many did so at once.
    suspect: bool,
    /// Changes with any of the above.
    version: String,
}

impl Endpoint {
    pub(super) fn of(endpoint: &disco_proto::Endpoint) -> Self {
        Self {
            name: endpoint.name.to_string(),
            instance: endpoint.instance.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            protocol: match endpoint.protocol {
                disco_proto::Protocol::Tcp => "tcp",
                disco_proto::Protocol::Udp => "udp",
            },
            attributes: endpoint.attributes.clone(),
            health: health(endpoint.health),
            suspect: endpoint.suspect,
            version: endpoint.version.to_string(),
        }
    }
}

fn health(health: disco_proto::Health) -> &'static str {
    match health {
        disco_proto::Health::Passing => "passing",
        disco_proto::Health::Draining => "draining",
        disco_proto::Health::Failing => "failing",
    }
}

impl Endpoints {
    pub(super) fn of(epoch: &str, present: &Present, sees: impl Fn(&disco_proto::Endpoint) -> bool) -> Self {
        let mut seen: Vec<_> = present.endpoints.iter().filter(|endpoint| sees(endpoint)).collect();
        seen.sort_by(|one, other| (&one.name, &one.instance).cmp(&(&other.name, &other.instance)));
        Self {
            epoch: epoch.to_owned(),
            rev: present.rev,
            complete: present.complete,
            endpoints: seen.into_iter().map(|endpoint| Endpoint::of(endpoint)).collect(),
        }
    }
}

/// One change of the registry.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Change {
    /// Revision with it.
    rev: u64,
    /// `added`, `updated`, `leaving` (usable until its users have another) or `dropped`.
    change: &'static str,
    /// Why it goes: `left`, `died`, `lost`, `expired`, `unmatched` or `draining`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// As it is now; as it was last, if it is gone.
    endpoint: Endpoint,
}

impl Change {
    pub(super) fn of(observed: &Observed) -> Self {
        let (change, reason) = match observed.what {
            What::Added => ("added", None),
            What::Updated => ("updated", None),
            What::Leaving(reason) => ("leaving", Some(reason.as_str())),
            What::Dropped(reason) => ("dropped", Some(reason.as_str())),
        };
        Self { rev: observed.rev, change, reason, endpoint: Endpoint::of(&observed.endpoint) }
    }
}

/// What a requirement would get.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// `environment/service/role/endpoint`; the role may be `*`.
    pub(super) name: String,
    /// Attributes that must be equal: `zone=a,version=2`.
    pub(super) r#match: Option<String>,
    /// Attributes that should equal the subscriber's own, the most important first: `zone,dc`.
    pub(super) prefer: Option<String>,
    /// The subscriber's own attributes: `zone=a,dc=x`.
    pub(super) attributes: Option<String>,
}

/// Every provider of a name, and why a subscriber would get it or not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Explanation {
    /// In whatever role.
    pub(super) candidates: Vec<Candidate>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Candidate {
    /// Whether the subscriber would get it.
    pub(super) chosen: bool,
    /// Why, or why not.
    pub(super) reason: String,
    /// The endpoint.
    pub(super) endpoint: Endpoint,
}

/// Who is connected, or was a moment ago.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Sessions {
    /// In the order of opening.
    pub(super) sessions: Vec<Session>,
}

/// One client.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Session {
    /// Its id.
    pub(super) session: String,
    /// Who it is, in its own words.
    pub(super) agent: String,
    /// Its attributes.
    pub(super) attributes: BTreeMap<String, String>,
    /// Whether it is connected now.
    pub(super) connected: bool,
    /// How many endpoints it provides.
    pub(super) provisions: usize,
    /// How many requirements it has.
    pub(super) requirements: usize,
}

/// How the server is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it has heard of everyone since its start.
    pub(super) complete: bool,
    /// Revision of the registry.
    pub(super) rev: u64,
}

/// How ready the server has to be.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    /// Ready only once it has heard of everyone. Not for a load balancer: clients must reach a server that holds.
    #[serde(default)]
    pub(super) complete: bool,
}
