//! Commands that change what runs.

use super::target::{Manifests, Output, RoleAddress, TakeOver, Target};
use clap::Args;

/// `scs plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
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
