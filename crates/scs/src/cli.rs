//! What can be typed: definitions only. What the words mean is decided in `settings` and done in `commands`.

pub mod agent;
pub mod ca;
pub mod change;
pub mod context;
pub mod disco;
pub mod host;
pub mod hosts;
pub mod look;
pub mod manifest;
pub mod people;
pub mod server;
pub mod target;
pub mod things;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs the same Docker services on one laptop or across data centers.
#[derive(Debug, Parser)]
#[command(name = "scs", version, max_term_width = 100, propagate_version = false, disable_help_subcommand = true)]
#[command(
    after_help = "Start with `scs init`. Exit codes: 0 done, 1 failed, 2 changes (plan --detailed-exitcode), 64 usage, \
65 bad manifest, 69 engine or server unavailable, 75 locked, 130 interrupted."
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Say only what went wrong
    #[arg(short, long, global = true, display_order = 900)]
    pub quiet: bool,
    /// Which server to speak to, as `scs context ls` lists them [env: SCS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", display_order = 899)]
    pub context: Option<String>,
    /// When to use colors
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", display_order = 901)]
    pub color: Color,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    // On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    // Always.
    Always,
    // Never.
    Never,
}

/// Every command, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small deployment to start from
    Init(manifest::Init),
    /// Check the manifests; needs no engine and no network
    Validate(manifest::Validate),
    /// Print the merged manifests, and where each value comes from
    Config(manifest::Config),
    /// Print roles with every default filled in, and their digests, as JSON
    Compile(manifest::Compile),
    /// Show what one environment does differently from another
    Diff(manifest::Diff),
    /// Print the JSON Schema of a manifest
    Schema(manifest::Schema),

    /// Show what `scs up` would do
    Plan(change::Plan),
    /// Bring the service up, or to what the manifests say now
    #[command(alias = "deploy")]
    Up(change::Up),
    /// Stop and remove the service's containers; volumes stay
    Down(change::Down),
    /// Start containers anew
    Restart(change::Roles),
    /// Stop roles and keep them stopped
    Stop(change::Roles),
    /// Start roles that were stopped
    Start(change::Roles),
    /// Bring about a named placement of the service, e.g. that of the quiet hours
    Layout(things::Layout),
    /// Move a role to another host, its data included
    Move(change::Move),
    /// Build images and start nothing
    Build(change::Build),
    /// List what was brought up before
    History(change::History),
    /// Go back to an earlier revision; data does not roll back
    Rollback(change::Rollback),

    /// List what runs
    #[command(alias = "status")]
    Ps(look::Ps),
    /// Show what containers write
    Logs(look::Logs),
    /// Run a command inside a container
    Exec(look::Exec),
    /// Say why a requirement has the endpoints it has
    Explain(look::Explain),
    /// Announce endpoints, find them, lead to them: without containers, or just to look
    Disco(disco::Disco),

    /// Look after secrets
    Secret(things::Secret),
    /// Look after volumes
    Volume(things::Volume),
    /// Remove images and directories that nothing uses any more; never a volume
    Prune(things::Prune),

    /// Look after the hosts of a cluster
    Host(hosts::Hosts),
    /// Look after the people of a cluster, and what they may do
    Person(people::People),
    /// Show who changed what
    Audit(people::Audit),

    /// Say what this machine lacks, and what is left over
    Doctor(host::Doctor),
    /// Run server and agent of this machine in the foreground
    Dev(host::Dev),
    /// Run a discovery server of one's own in the foreground
    Server(server::Server),
    /// Run the containers of this host, for a server, in the foreground
    Agent(Box<agent::Agent>),
    /// Look after the servers this user works with
    Context(context::Contexts),
    /// Look after the certificates of servers, hosts and people
    Ca(ca::Ca),
    /// Run one container in the foreground, for systemd or Puppet to own; or a one-off command in its place
    Run(host::Run),
    /// Print the completion script of a shell
    Completion(host::Completion),
    /// Print the version, and that of the server
    Version(host::Version),
    /// Join rsync to the agent that started it
    #[command(hide = true)]
    TransferBridge(host::TransferBridge),
    /// End what runs by lease on this host once its lease has ended; started by the agent
    #[command(hide = true)]
    Watchdog(host::Watchdog),
    /// Print a page of the documentation
    #[command(hide = true)]
    Docs(host::Docs),
}
