//! Paths of the API, in one place for both sides.
//!
//! | method and path | asks | answers |
//! |---|---|---|
//! | `GET /v1/version` | – | [`crate::inspect::Version`] |
//! | `GET /v1/bundles/DIGEST` (`HEAD`, `PUT` too) | a source's files as a tar stream | 200, 404 |
//! | `POST /v1/images/DIGEST/claim`, `DELETE` | [`crate::image::ClaimRequest`], – | [`crate::image::Claim`], –; hosts alone |
//! | `GET /v1/environments` | – | list of names: those in which anything was ever brought up |
//! | `POST /v1/services/ENV/SERVICE/plan` | [`crate::deploy::PlanRequest`] | [`crate::deploy::PlanResponse`] |
//! | `POST /v1/services/ENV/SERVICE/up` | [`crate::deploy::UpRequest`] | [`crate::deploy::Event`]s |
//! | `POST /v1/services/ENV/SERVICE/down` | [`crate::deploy::DownRequest`] | events |
//! | `POST /v1/services/ENV/SERVICE/build` | [`crate::deploy::BuildRequest`] | events |
//! | `POST /v1/services/ENV/SERVICE/rollback` | [`crate::deploy::RollbackRequest`] | events |
//! | `POST /v1/services/ENV/SERVICE/roles/ROLE/restart`, `stop`, `start` | [`crate::deploy::RoleRequest`] | events |
//! | `POST /v1/services/ENV/SERVICE/roles/ROLE/move` | [`crate::deploy::MoveRequest`] | events |
//! | `POST /v1/services/ENV/SERVICE/roles/ROLE/move/abort` | [`crate::deploy::AbortRequest`] | – |
//! | `GET /v1/services/ENV/SERVICE/history` | – | list of [`crate::deploy::Revision`] |
//! | `GET /v1/services/ENV/SERVICE/secrets` | – | list of [`crate::secret::SecretInfo`] |
//! | `PUT /v1/services/ENV/SERVICE/secrets/NAME`, `POST …/NAME/rotate` | [`crate::secret::SetSecret`], [`crate::secret::RotateSecret`] | events |
//! | `GET /v1/services/ENV/SERVICE/roles/ROLE/requirements/NAME?index=` | – | [`crate::inspect::Explanation`] |
//! | `GET /v1/instances?environment=&service=&role=` | – | list of [`crate::inspect::Instance`] |
//! | `GET /v1/instances/INSTANCE/exec?…` | WebSocket, see [`ExecQuery`] | output and exit code |
//! | `GET /v1/logs?…` | [`crate::log::LogQuery`] | [`crate::log::LogLine`]s |
//! | `GET /v1/volumes`, `DELETE /v1/volumes/ID` | – | list of [`crate::volume::VolumeInfo`] |
//! | `GET /v1/volumes/ID/data`, `PUT /v1/volumes/ID/data` | –, tar stream | tar stream, – |
//! | `GET /v1/disco?…`, `POST /v1/disco/resolve` | [`crate::inspect::EndpointQuery`] | list of [`crate::inspect::EndpointInfo`] |
//! | `GET /v1/disco/watch?…` | [`crate::inspect::EndpointQuery`] | [`crate::inspect::EndpointChange`]s |
//! | `GET /v1/hosts` | – | list of [`crate::host::HostInfo`] |
//! | `GET /v1/hosts/HOST`, `DELETE /v1/hosts/HOST` | – | [`crate::host::HostDetails`], – |
//! | `POST /v1/hosts/HOST/labels` | [`crate::host::LabelRequest`] | [`crate::host::HostDetails`] |
//! | `POST /v1/hosts/HOST/give-up` | [`crate::host::GiveUpRequest`] | [`crate::host::GivenUp`] |
//! | `POST /v1/hosts/HOST/leave` | [`crate::deploy::Caller`] | events: it is drained, and what can move away does |
//! | `POST /v1/hosts/HOST/drain`, `undrain` | – | [`crate::host::HostDetails`]: what is there |
//! | `POST /v1/tokens` | [`crate::join::TokenRequest`] | [`crate::join::Token`] |
//! | `POST /v1/join`, without a certificate | [`crate::join::JoinRequest`] | [`crate::join::JoinResponse`] |
//! | `POST /v1/renew` | [`crate::join::RenewRequest`] | [`crate::join::JoinResponse`] |
//! | `GET /v1/people` | – | list of [`crate::person::PersonInfo`] |
//! | `PUT /v1/people/NAME`, `DELETE /v1/people/NAME` | [`crate::person::PersonRequest`], – | [`crate::person::PersonInfo`], – |
//! | `GET /v1/audit?last=` | – | list of [`crate::audit::Entry`] |
//! | `POST /v1/prune` | – | [`Pruned`] |
//! | `POST /v1/shutdown` | – | – ; containers keep running |
//!
//! An answer that is not complete, because a host does not answer, says so in headers [`WARNING`].
//!
//! A request that fails answers a 4xx or 5xx status with a [`crate::error::Problem`].

use serde::{Deserialize, Serialize};

/// Name of a header of an answer: something the reader should know, one sentence in UTF-8; there may be several.
pub const WARNING: &str = "scs-warning";

/// Query of an exec. Over the WebSocket, each binary message starts with a channel byte: client 0 stdin, 3 resize (two big-endian
/// u16: columns, rows), 4 end of stdin; server 1 stdout, 2 stderr, 9 exit code (big-endian i64), 10 an error as JSON [`crate::error::Problem`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecQuery {
    /// The command as a JSON array.
    pub command: String,
    /// User to run as.
    pub user: Option<String>,
    /// Attach standard input.
    #[serde(default)]
    pub stdin: bool,
    /// Columns of the terminal; 0 for none.
    #[serde(default)]
    pub columns: u16,
    /// Rows of the terminal.
    #[serde(default)]
    pub rows: u16,
}

/// `POST /v1/prune` answers this.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pruned {
    /// What was removed, a line each.
    pub removed: Vec<String>,
    /// Bytes freed, where known.
    pub bytes: u64,
}
