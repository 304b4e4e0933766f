//! Commands that look at what runs, or into it.

use super::target::{LongTarget, Output, RequirementAddress, RoleAddress, Target};
use clap::Args;

/// `scs ps`
#[derive(Debug, Args)]
pub struct Ps {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Every service in every environment
    #[arg(short, long, conflicts_with_all = ["env", "file", "service"])]
    pub all: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// Which service.
    #[command(flatten)]
    pub target: LongTarget,
    /// Go on as more is written
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines of each instance
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<u64>,
    /// Only since: a time like 2026-01-31T12:00:00Z, or how long ago, like 5m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only until: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Show when each line was written
    #[arg(short, long)]
    pub timestamps: bool,
    /// Leave out whose line it is
    #[arg(long)]
    pub no_prefix: bool,
    /// How it is printed; json is an object a line.
    #[command(flatten)]
    pub output: Output,
    /// Which roles or instances; all without
    #[arg(value_name = "[SERVICE/]ROLE[.INDEX]")]
    pub roles: Vec<RoleAddress>,
}

/// `scs exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Pass standard input on; on a terminal it is
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal; on a terminal it gets one
    #[arg(short, long)]
    pub tty: bool,
    /// Give it none
    #[arg(short = 'T', long, conflicts_with = "tty")]
    pub no_tty: bool,
    /// User to run as
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Which role; its first instance without an index
    #[arg(value_name = "[SERVICE/]ROLE[.INDEX]")]
    pub role: RoleAddress,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `scs explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// Which requirement, e.g. wordpress.mysql; of the first instance without an index
    #[arg(value_name = "[SERVICE/]ROLE[.INDEX].REQUIREMENT")]
    pub requirement: RequirementAddress,
}
