//! What only these two ends tell each other.

use scs_api::agent::HostReport;
use scs_control::agents::{OutputLine, VolumeAt};
use serde::{Deserialize, Serialize};

/// One line of `GET /v1/report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// What the host sees now.
    Report(Box<HostReport>),
    /// A line of output of a long step.
    Output(OutputLine),
    /// All is as it was.
    Beat,
    /// The host asks for a lease; the answer is sent to [`LEASE`]. The number of the question.
    Lease(u64),
}

/// Which volume.
#[derive(Debug, Deserialize)]
pub(crate) struct VolumeQuery {
    /// A [`scs_control::agents::VolumeAt`] as JSON.
    pub(crate) volume: String,
}

/// That a volume's permit has passed on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandOver {
    pub(crate) volume: VolumeAt,
    pub(crate) to: String,
}

/// What a connection speaks that carries a volume.
pub(crate) const VOLUME_PROTOCOL: &str = "scs-volume";

pub(crate) const VOLUME_OFFER: &str = "/v1/volume/offer";
pub(crate) const VOLUME_COPY: &str = "/v1/volume/copy";
pub(crate) const VOLUME_HAND_OVER: &str = "/v1/volume/hand-over";
pub(crate) const TRANSFERS: &str = "/v1/transfers";
pub(crate) const REPORT: &str = "/v1/report";
pub(crate) const ASSIGNMENTS: &str = "/v1/assignments";
pub(crate) const LEASE: &str = "/v1/lease";
pub(crate) const ENGINE: &str = "/v1/engine";
pub(crate) const IMAGES: &str = "/v1/images";
pub(crate) const BUILD: &str = "/v1/build";
pub(crate) const LOGS: &str = "/v1/logs";
pub(crate) const INSTANCES: &str = "/v1/instances";
pub(crate) const VOLUME: &str = "/v1/volume";
pub(crate) const VOLUME_DATA: &str = "/v1/volume/data";
pub(crate) const PRUNE: &str = "/v1/prune";
