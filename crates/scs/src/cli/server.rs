//! `scs server`: discovery of one's own, and with `--advertise` the control plane of a cluster.

use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `scs server`
#[derive(Debug, Args)]
pub struct Server {
    /// Name or address under which hosts and people reach this server, several separated by commas: it becomes the control plane of a
    /// cluster, with an authority of its own [env: SCS_ADVERTISE]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', env = "SCS_ADVERTISE", hide_env = true)]
    #[arg(conflicts_with = "certificates")]
    pub advertise: Vec<String>,
    /// Name of this server in its certificate; that of the machine without
    #[arg(long, value_name = "NAME", requires = "advertise")]
    pub name: Option<String>,
    /// Where the API of the cluster is; port 9641 of the advertised address without
    #[arg(long, value_name = "ADDRESS:PORT", requires = "advertise")]
    pub api: Option<SocketAddr>,
    /// Where clients of discovery connect; port 9640 of the advertised address, or 127.0.0.1:9640; off loopback only with --advertise or
    /// --certificates [env: SCS_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT", env = "SCS_LISTEN", hide_env = true)]
    pub listen: Option<SocketAddr>,
    /// Where the HTTP API of discovery is, with its metrics, or `off`; 127.0.0.1:9641, with --advertise 127.0.0.1:9643 [env: SCS_HTTP]
    #[arg(long, value_name = "ADDRESS:PORT", env = "SCS_HTTP", hide_env = true)]
    pub http: Option<Http>,
    /// Directory with tls.crt, tls.key and ca.crt of `scs ca issue server`; read again when they change [env: SCS_CERTIFICATES]
    #[arg(long, value_name = "DIR", env = "SCS_CERTIFICATES", hide_env = true)]
    pub certificates: Option<PathBuf>,
    /// Directory for what the server keeps; `server` in the state directory without
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// How often clients say something; three missed, and what they provide expires
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    pub heartbeat: String,
    /// How long after a start nothing is dropped that was not heard of
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub hold: String,
    /// How long preferred endpoints must be back before clients go back to them
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub failback: String,
    /// Connections altogether; file descriptors may set less
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Connections from one address that is not this machine
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_address: u32,
    /// Requests a second that one connection may make, on average
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rate: u32,
    /// Format of the log; text on a terminal, else json, without
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log: Option<Log>,
}

/// Where the HTTP API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl std::str::FromStr for Http {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Log {
    // For people.
    Text,
    // An object a line.
    Json,
}
