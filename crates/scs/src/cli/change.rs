//! Commands that change what runs.

use super::target::{Manifests, Output, RoleAddress, TakeOver, Target};
use clap::Args;
use std::time::Duration;

/// `scs plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Place what was moved by hand as the manifest says
    #[arg(long)]
    pub reset_placement: bool,
    /// Exit with 2 where something would change, with 0 where nothing would
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs up`
#[derive(Debug, Args)]
pub struct Up {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Return once everything runs, instead of following the logs
    #[arg(short, long)]
    pub detach: bool,
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// Show the plan and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Begin an environment without an overlay in which nothing was ever up
    #[arg(long)]
    pub create_env: bool,
    /// Take over a service that was brought up from another directory
    #[arg(long)]
    pub take_over: bool,
    /// Place what was moved by hand as the manifest says
    #[arg(long)]
    pub reset_placement: bool,
}

/// `scs move`
#[derive(Debug, Args)]
pub struct Move {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Whose service.
    #[command(flatten)]
    pub take_over: TakeOver,
    /// Longest time it may be down, e.g. 30s: a move that would need more is called off
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "abort")]
    pub max_downtime: Option<Duration>,
    /// Most that is copied in a second, e.g. 50MB
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "abort")]
    pub bandwidth: Option<u64>,
    /// Move it although the manifest's `place` does not let it be there
    #[arg(long, conflicts_with = "abort")]
    pub force: bool,
    /// Call a move off, where that loses nothing
    #[arg(long)]
    pub abort: bool,
    /// The target is dead and never comes back: start it where it was without the target's word that it has stopped
    #[arg(long, requires = "abort")]
    pub assume_host_dead: bool,
    /// Which role, or which instance of it
    #[arg(value_name = "[SERVICE/]ROLE[.INDEX]")]
    pub role: RoleAddress,
    /// Host it is to be on
    #[arg(value_name = "HOST", required_unless_present = "abort", conflicts_with = "abort")]
    pub host: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    scs_manifest::duration::parse(text).ok_or_else(|| "a duration is written 500ms, 30s, 5m or 2h".to_owned())
}

/// A size in bytes a second.
///
/// # Errors
/// Where it is none.
pub fn size(text: &str) -> Result<u64, String> {
    scs_manifest::size::parse(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| "a size is written 500kB, 50MB or 1GiB".to_owned())
}

/// `scs down`
#[derive(Debug, Args)]
pub struct Down {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Whose service.
    #[command(flatten)]
    pub take_over: TakeOver,
}

/// `scs restart`, `scs stop`, `scs start`
#[derive(Debug, Args)]
pub struct Roles {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Whose service.
    #[command(flatten)]
    pub take_over: TakeOver,
    /// Which roles, or which instances of them
    #[arg(required = true, value_name = "[SERVICE/]ROLE[.INDEX]")]
    pub roles: Vec<RoleAddress>,
}

/// `scs build`
#[derive(Debug, Args)]
pub struct Build {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Which roles; all without
    #[arg(value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// `scs history`
#[derive(Debug, Args)]
pub struct History {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs rollback`
#[derive(Debug, Args)]
pub struct Rollback {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Whose service.
    #[command(flatten)]
    pub take_over: TakeOver,
    /// Revision as `scs history` lists it; the one before the current without
    #[arg(value_name = "REVISION")]
    pub revision: Option<u64>,
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
}
