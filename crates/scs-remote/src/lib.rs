//! An agent over the network: [`serve`] offers one ([`scs_control::agents::Agent`]) over TLS, [`Remote`] is the same agent where the control
//! plane is. Both ends show certificates; who is at the other end is told by identity, never by address.
//!
//! | method and path | asks | answers |
//! |---|---|---|
//! | `GET /v1/report` | – | lines without end: the newest report, output of long steps, a beat where nothing else is said, and each [`BEAT`] a question for a lease where one is needed |
//! | `PUT /v1/assignments` | [`scs_api::agent::Assignments`] | – |
//! | `PUT /v1/lease` | [`scs_api::agent::LeaseGrant`], the answer to a question in the report's lines | – |
//! | `GET /v1/engine` | – | what the engine calls itself |
//! | `GET /v1/images` | – | list of digests |
//! | `GET /v1/images/DIGEST` | – | tar stream; other hosts may, too |
//! | `POST /v1/build` | [`scs_api::deploy::BuildRequest`] | [`scs_api::deploy::Event`]s |
//! | `GET /v1/logs?…` | [`scs_api::log::LogQuery`] | [`scs_api::log::LogLine`]s |
//! | `GET /v1/instances/INSTANCE/exec?…` | WebSocket, see [`scs_api::exec`] | output and exit code |
//! | `GET /v1/volume?volume=JSON`, `DELETE` | [`scs_control::agents::VolumeAt`] | [`scs_control::agents::VolumeSeen`], – |
//! | `GET /v1/volume/data?volume=JSON`, `PUT` | –, tar stream | tar stream, – |
//! | `POST /v1/volume/offer` | [`scs_control::agents::VolumeOffer`] | [`scs_api::transfer::Survey`] |
//! | `POST /v1/volume/copy` | [`scs_control::agents::VolumeCopy`] | [`scs_control::agents::CopyEvent`]s |
//! | `POST /v1/volume/hand-over` | the volume, and the host that has it now | – |
//! | `GET /v1/transfers/TRANSFER?volume=JSON`, asked by another host | id of a volume that is offered to it | 101, and the volume as rsync sends it |
//! | `POST /v1/prune` | list of digests to keep | [`scs_api::routes::Pruned`] |
//!
//! A request that fails answers a 4xx or 5xx status with a [`scs_api::error::Problem`], which arrives as it was.

mod remote;
mod serve;
mod wire;

pub use remote::{Connector, Neighbours, Options as RemoteOptions, Remote};
pub use serve::{Options, serve};

/// How often an agent that has nothing to say says so.
pub const BEAT: std::time::Duration = std::time::Duration::from_secs(1);

/// An agent that has said nothing for so long is taken to be out of reach: three beats.
pub const SILENCE: std::time::Duration = std::time::Duration::from_secs(3);
