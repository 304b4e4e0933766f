//! What an agent is told about itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Who the agent is and where it keeps what it has to remember.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the host, as in reports and as attribute `host` of what it provides.
    pub host: String,
    /// Id of this installation. Every container carries it, and none without it is ever touched.
    pub owner: String,
    /// Id of the cluster whose assignments are taken; the first one that assigns where `None`, from then on only that.
    pub cluster: Option<String>,
    /// Directory for what survives a restart; made with mode 0700.
    pub state: PathBuf,
    /// Attributes that every endpoint of this host carries: `zone`, `dc`, …. `host` is added.
    pub attributes: BTreeMap<String, String>,
    /// The static helper that is put under `/run/scs/bin`. Without it commands run without a timeout inside the container, and
    /// log files and owners of fresh volumes are left alone.
    pub helper: Option<PathBuf>,
    /// Program and first arguments that run [`crate::watchdog`], given its directory as one more. Without it nothing is started that
    /// runs by lease.
    pub watchdog: Option<Vec<OsString>>,
}
