//! `scs agent`: what runs the containers of a host.

use super::server::Log;
use crate::contexts::Address;
use clap::Args;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// `scs agent`
#[derive(Debug, Args)]
pub struct Agent {
    /// Server to join, `https://HOST[:PORT]`; remembered [env: SCS_SERVER]
    #[arg(long, value_name = "URL", env = "SCS_SERVER", hide_env = true)]
    pub server: Option<Address>,
    /// One-time token of `scs host token`, to join with; `-` reads it from standard input [env: SCS_TOKEN]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SCS_TOKEN",
        hide_env = true,
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    pub token: Option<String>,
    /// File that holds the token; looked at only where this host has not joined yet, or its certificate has ended
    #[arg(long, value_name = "FILE", env = "SCS_TOKEN_FILE", hide_env = true)]
    pub token_file: Option<PathBuf>,
    /// Address under which other hosts reach this one, and what its containers provide; remembered [env: SCS_ADVERTISE]
    #[arg(long, value_name = "ADDRESS", env = "SCS_ADVERTISE", hide_env = true)]
    pub advertise: Option<IpAddr>,
    /// Name of this host; that of the machine without
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Label of this host, e.g. dc=east; set when it joins, later with `scs host label`
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Where the server and other agents connect; port 9642 of the advertised address without
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Directory for what the agent keeps, volumes included; `host` in the state directory without
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Format of the log; text on a terminal, else json, without
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log: Option<Log>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    let fine = |text: &str| !text.is_empty() && text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fine(name) && fine(value) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err("name and value of a label have 1 to 63 visible characters each".to_owned())
    }
}
