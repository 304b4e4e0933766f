//! `scs context`: the servers this user works with.

use super::target::Output;
use crate::contexts::Address;
use clap::{Args, Subcommand};

/// `scs context`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Contexts {
    /// What to do.
    #[command(subcommand)]
    pub verb: ContextVerb,
}

/// What `scs context` does.
#[derive(Debug, Subcommand)]
pub enum ContextVerb {
    /// Get to know a server, with a token that it or `scs person token` printed
    Add(Add),
    /// List the servers this user works with
    Ls(List),
    /// Speak to this one from now on; `local` is this machine's own `scs dev`
    Use(Named),
    /// Forget one, with its key
    Rm(Named),
}

/// `scs context add`
#[derive(Debug, Args)]
pub struct Add {
    /// What to call it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// `https://HOST[:PORT]`, or `unix:/PATH/scs.sock` on the server's own machine
    #[arg(value_name = "URL")]
    pub server: Address,
    /// One-time token; read from standard input where it is `-`
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Use it for this environment only, and by default; can be said several times
    #[arg(long, value_name = "ENV")]
    pub env: Vec<String>,
    /// Speak to it from now on
    #[arg(long = "use")]
    pub choose: bool,
}

/// `scs context ls`
#[derive(Debug, Args)]
pub struct List {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs context use`, `scs context rm`
#[derive(Debug, Args)]
pub struct Named {
    /// Which
    #[arg(value_name = "NAME")]
    pub name: String,
}
