//! Commands about this machine and this program.

use super::target::{Manifests, Output, RoleAddress};
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// `scs doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Make it a systemd user service that survives a reboot
    #[arg(long, group = "action")]
    pub install: bool,
    /// Undo that; containers keep running
    #[arg(long, group = "action")]
    pub uninstall: bool,
    /// End the one that runs; containers keep running
    #[arg(long, group = "action")]
    pub stop: bool,
    /// End once nothing is to run any more
    #[arg(long, hide = true, conflicts_with = "action")]
    pub until_idle: bool,
}

/// `scs run`
#[derive(Debug, Args)]
pub struct Run {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Discovery server to use; the one of `scs dev` without [env: SCS_DISCO]
    #[arg(long, value_name = "ADDRESS")]
    pub disco: Option<String>,
    /// Which role
    #[arg(value_name = "[SERVICE/]ROLE", value_parser = RoleAddress::whole)]
    pub role: RoleAddress,
    /// A one-off command to run in the role's image, with its connections, instead of its own; it gets the terminal, or what is piped in
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `scs watchdog`
#[derive(Debug, Args)]
pub struct Watchdog {
    /// Where the agent keeps its leases
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `scs completion`
#[derive(Debug, Args)]
pub struct Completion {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `scs version`
#[derive(Debug, Args)]
pub struct Version {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs transfer-bridge`
#[derive(Debug, Args)]
pub struct TransferBridge {
    /// Socket of the agent
    #[arg(value_name = "SOCKET")]
    pub socket: PathBuf,
    /// What rsync says
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// `scs docs`
#[derive(Debug, Args)]
pub struct Docs {
    /// Which page
    #[arg(value_enum, value_name = "PAGE")]
    pub page: Page,
}

/// A page that the program writes about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    // Every command with its arguments.
    Commands,
    // Every key of both manifests.
    Manifests,
    // The HTTP API of `scs server`.
    Openapi,
}
