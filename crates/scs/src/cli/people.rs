//! `scs person` and `scs audit`: who may do what, and who did what.

use super::target::Output;
use clap::{Args, Subcommand};
use scs_api::person::Role;

/// `scs person`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct People {
    /// What to do.
    #[command(subcommand)]
    pub verb: PersonVerb,
}

/// What `scs person` does.
#[derive(Debug, Subcommand)]
pub enum PersonVerb {
    /// List people
    Ls(PersonList),
    /// Print a one-time token that a person, or a script, gets to know the server with
    Token(PersonToken),
    /// Let somebody do more, or less, from now on
    Set(PersonSet),
    /// Forget somebody, and turn away their certificates
    Rm(PersonRemove),
}

/// `scs person ls`
#[derive(Debug, Args)]
pub struct PersonList {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// What somebody may do.
#[derive(Debug, Args)]
pub struct Rights {
    /// read: look; deploy: change what runs, too; admin: everything, everywhere
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
    /// Environment they may do it in, `*` for any; can be said several times
    #[arg(long, value_name = "ENV")]
    pub env: Vec<String>,
}

/// `scs person token`
#[derive(Debug, Args)]
pub struct PersonToken {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// What they may do.
    #[command(flatten)]
    pub rights: Rights,
    /// How long the token is good for, e.g. 30m
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub valid: String,
    /// Who
    #[arg(value_name = "PERSON")]
    pub person: String,
}

/// `scs person set`
#[derive(Debug, Args)]
pub struct PersonSet {
    /// What they may do.
    #[command(flatten)]
    pub rights: Rights,
    /// Who
    #[arg(value_name = "PERSON")]
    pub person: String,
}

/// `scs person rm`
#[derive(Debug, Args)]
pub struct PersonRemove {
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// Who
    #[arg(value_name = "PERSON")]
    pub person: String,
}

/// `scs audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// How many of the last entries
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100)]
    pub last: usize,
}
