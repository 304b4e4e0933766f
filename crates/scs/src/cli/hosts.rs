//! `scs host`: the machines of a cluster.

use super::target::Output;
use clap::{Args, Subcommand};

/// `scs host`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Hosts {
    /// What to do.
    #[command(subcommand)]
    pub verb: HostVerb,
}

/// What `scs host` does.
#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// List hosts
    Ls(HostList),
    /// Show one host, and what is there
    Inspect(HostInspect),
    /// Print a one-time token that a host joins with
    Token(HostToken),
    /// Forget a host that nothing lies on, and turn away its certificates
    Rm(HostRemove),
    /// Give a host labels, or take them away; placement goes by them
    Label(HostLabel),
    /// Put nothing new on a host, and move away what is there
    Drain(HostInspect),
    /// Put things on a host again
    Undrain(HostInspect),
}

/// `scs host ls`
#[derive(Debug, Args)]
pub struct HostList {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs host inspect`, `drain`, `undrain`
#[derive(Debug, Args)]
pub struct HostInspect {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// Which host
    #[arg(value_name = "HOST")]
    pub host: String,
}

/// `scs host token`
#[derive(Debug, Args)]
pub struct HostToken {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// Label that the host has from the beginning, e.g. dc=east; can be said several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// It is the same machine that joins again: the host of that name keeps what is there, its old certificates are turned away
    #[arg(long, requires = "host")]
    pub rejoin: bool,
    /// How long the token is good for, e.g. 30m
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub valid: String,
    /// The only name that may join with it; any that is free without
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}

/// `scs host rm`
#[derive(Debug, Args)]
pub struct HostRemove {
    /// It does not answer and never comes back: forget it with all that lies there. What ran there starts on other hosts; what needs
    /// data that lay there waits
    #[arg(long)]
    pub assume_host_dead: bool,
    /// What needs that data starts without it, with fresh, empty volumes
    #[arg(long, requires = "assume_host_dead")]
    pub lose_data: bool,
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// Which host
    #[arg(value_name = "HOST")]
    pub host: String,
}

/// `scs host label`
#[derive(Debug, Args)]
pub struct HostLabel {
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
    /// Which host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// `NAME=VALUE` sets a label, `NAME-` takes it away
    #[arg(required = true, value_name = "LABEL", value_parser = change)]
    pub labels: Vec<Change>,
}

/// What becomes of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Set(String, String),
    /// It goes.
    Remove(String),
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn change(text: &str) -> Result<Change, String> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok(Change::Set(name.to_owned(), value.to_owned()));
    }
    let name = text.strip_suffix('-').filter(|it| !it.is_empty());
    name.map(|it| Change::Remove(it.to_owned()))
        .ok_or_else(|| "a label is NAME=VALUE, or NAME- to take it away".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_taken_away() {
        assert_eq!(change("dc=east"), Ok(Change::Set("dc".to_owned(), "east".to_owned())));
        assert_eq!(change("dc=a=b-"), Ok(Change::Set("dc".to_owned(), "a=b-".to_owned())));
        assert_eq!(change("dc-"), Ok(Change::Remove("dc".to_owned())));
        assert!(change("dc").is_err() && change("-").is_err());
    }
}
