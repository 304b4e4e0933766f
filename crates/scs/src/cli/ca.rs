//! `scs ca`: the certificate authority.

use super::target::Output;
use clap::{Args, Subcommand, ValueEnum};
use disco_core::Scope;
use std::path::PathBuf;

/// `scs ca`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Ca {
    /// What to do.
    #[command(subcommand)]
    pub verb: CaVerb,
}

/// What `scs ca` does.
#[derive(Debug, Subcommand)]
pub enum CaVerb {
    /// Make a certificate authority
    Init(Init),
    /// Issue a certificate with its key, or issue one anew
    Issue(Issue),
    /// Replace the authority while everything goes on: begin, or finish
    Rotate(Rotate),
    /// List authorities, and the certificates that are valid
    Ls(List),
    /// Say what a certificate says
    Show(Show),
}

/// Where the authority lies.
#[derive(Debug, Args)]
pub struct Place {
    /// Directory of the authority; `ca` in the state directory without
    #[arg(long, value_name = "DIR")]
    pub ca: Option<PathBuf>,
}

/// `scs ca init`
#[derive(Debug, Args)]
pub struct Init {
    /// Where it lies.
    #[command(flatten)]
    pub place: Place,
    /// Name of the authority, for people; the name of this host without
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `scs ca issue`
#[derive(Debug, Args)]
pub struct Issue {
    /// Where it lies.
    #[command(flatten)]
    pub place: Place,
    /// DNS name or IP address that others connect to; a server needs one, a person has none
    #[arg(long, value_name = "ADDRESS")]
    pub address: Vec<String>,
    /// Where its holder may provide: ENV/SERVICE, either possibly `*`
    #[arg(long, value_name = "SCOPE")]
    pub provide: Vec<Scope>,
    /// Where its holder may require, list and watch
    #[arg(long, value_name = "SCOPE")]
    pub require: Vec<Scope>,
    /// How long it is valid, e.g. 12h or 90d
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub valid: String,
    /// Directory for tls.crt, tls.key and ca.crt; `certificates/KIND-NAME` in the state directory without
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// What its holder is
    #[arg(value_enum, value_name = "KIND")]
    pub kind: Kind,
    /// Name of its holder, e.g. web1
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// What the holder of a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    // Others connect to it.
    Server,
    // Runs services.
    Host,
    // Looks, and asks.
    Person,
}

/// `scs ca rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    /// Where it lies.
    #[command(flatten)]
    pub place: Place,
    /// Trust the older authority no more, and delete its key
    #[arg(long)]
    pub finish: bool,
    /// Even where that turns somebody away
    #[arg(long, requires = "finish")]
    pub anyway: bool,
}

/// `scs ca ls`
#[derive(Debug, Args)]
pub struct List {
    /// Where it lies.
    #[command(flatten)]
    pub place: Place,
    /// Also those that have expired
    #[arg(short, long)]
    pub all: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs ca show`
#[derive(Debug, Args)]
pub struct Show {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// Certificate, or a directory with a tls.crt
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}
