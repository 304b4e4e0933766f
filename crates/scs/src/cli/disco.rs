//! `scs disco`: ways in for those who do not run containers here, and for people who look.

use super::target::Output;
use clap::{Args, Subcommand, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// `scs disco`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Disco {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `scs disco` does.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List endpoints, or who requires them
    Ls(List),
    /// Print every change as it happens, and why
    Watch(Watch),
    /// Print the addresses that a name leads to now
    Resolve(Resolve),
    /// Forward local ports to endpoints, wherever they move
    Forward(Forward),
    /// Announce an endpoint, for as long as a command runs
    Provide(Provide),
    /// Print the addresses of an endpoint at each change, or run a command at each
    Require(Require),
}

/// Which server.
#[derive(Debug, Clone, Default, Args)]
pub struct Server {
    /// Discovery server, or several separated by commas; the one of `scs dev` without [env: SCS_DISCO]
    #[arg(long, value_name = "HOST:PORT")]
    pub server: Option<String>,
    /// Directory with tls.crt, tls.key and ca.crt of `scs ca issue host`, for a server off loopback [env: SCS_CERTIFICATES]
    #[arg(long, value_name = "DIR", env = "SCS_CERTIFICATES", hide_env = true)]
    pub certificates: Option<PathBuf>,
}

/// What a name that leaves parts out means.
#[derive(Debug, Clone, Default, Args)]
pub struct Parts {
    /// Environment of a name without one [env: SCS_ENV] [default: dev]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Service of a name without one; that of the deployment.yaml in this directory without
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
}

/// Which of the endpoints of a name.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only those whose attribute fits: KEY=VALUE, KEY=ONE,OTHER, KEY!=VALUE, KEY (there), !KEY (absent)
    #[arg(long, value_name = "CONDITION", allow_hyphen_values = true)]
    pub r#match: Vec<Condition>,
    /// Prefer those that share this attribute with us; several, the most important first
    #[arg(long, value_name = "KEY")]
    pub prefer: Vec<String>,
    /// An attribute of ours, which --prefer compares with, e.g. zone=a
    #[arg(long = "own", value_name = "KEY=VALUE")]
    pub own: Vec<Attribute>,
}

/// `scs disco ls`
#[derive(Debug, Args)]
pub struct List {
    /// Environment; all without
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Service; all without
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// List who requires what, instead of what is provided
    #[arg(short, long)]
    pub requirements: bool,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs disco watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// Environment; of a name without one, or all without a name
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Service; of a name without one, or all without a name
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Endpoint to watch as its users see it; everything that `scs dev` knows without
    #[arg(value_name = "[[[ENV/]SERVICE/]ROLE/]ENDPOINT")]
    pub name: Option<EndpointName>,
    /// Which of them.
    #[command(flatten)]
    pub selection: Selection,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// How it is printed; json is an object a line.
    #[command(flatten)]
    pub output: Output,
}

/// `scs disco resolve`
#[derive(Debug, Args)]
pub struct Resolve {
    /// What is left out.
    #[command(flatten)]
    pub parts: Parts,
    /// Endpoint, e.g. http or wordpress/http; any role without one
    #[arg(value_name = "[[[ENV/]SERVICE/]ROLE/]ENDPOINT")]
    pub name: EndpointName,
    /// Which of them.
    #[command(flatten)]
    pub selection: Selection,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs disco forward`
#[derive(Debug, Args)]
pub struct Forward {
    /// What is left out.
    #[command(flatten)]
    pub parts: Parts,
    /// Which port leads where, e.g. 3306:mysql; on 127.0.0.1 without ADDRESS. Port 0 takes a free one and prints it
    #[arg(required = true, value_name = "[ADDRESS:]PORT:[[[ENV/]SERVICE/]ROLE/]ENDPOINT")]
    pub ports: Vec<PortTo>,
    /// Which of several equally good endpoints a connection goes to
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    pub balance: Balance,
    /// How long a connection waits while no endpoint takes it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub patience: Duration,
    /// How long existing connections may go on after Ctrl-C, or hold up an endpoint that is withdrawn
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub finish: Duration,
    /// Connections at a time on each port; further ones wait
    #[arg(long, value_name = "COUNT", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=500_000))]
    pub connections: u32,
    /// File that keeps the last known endpoints, so that a start without a server has some
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// Which of them.
    #[command(flatten)]
    pub selection: Selection,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
}

/// `scs disco provide`
#[derive(Debug, Args)]
pub struct Provide {
    /// What is left out.
    #[command(flatten)]
    pub parts: Parts,
    /// Host name or address under which others reach it; the one that this machine speaks to the server from without
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port under which others reach it
    #[arg(long, value_name = "PORT", required_unless_present = "address", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Both in one
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["host", "port"])]
    pub address: Option<HostPort>,
    /// An attribute that others may match or prefer, e.g. zone=a
    #[arg(long, value_name = "KEY=VALUE")]
    pub attribute: Vec<Attribute>,
    /// When it is announced, and whether it works later: once the port accepts, once a page answers (http:/PATH), or always
    #[arg(long, value_name = "tcp|http:/PATH|none", default_value = "tcp")]
    pub health: Health,
    /// Pause between two checks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub interval: Duration,
    /// Which of that name; made up without
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// How long its users are waited for after Ctrl-C, before the command is told
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub wait: Duration,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// What it is called, e.g. shop/web/http
    #[arg(value_name = "[[ENV/]SERVICE/]ROLE/ENDPOINT")]
    pub name: EndpointName,
    /// The command that provides it; until Ctrl-C without
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `scs disco require`
#[derive(Debug, Args)]
pub struct Require {
    /// What is left out.
    #[command(flatten)]
    pub parts: Parts,
    /// Which of them.
    #[command(flatten)]
    pub selection: Selection,
    /// End after the first set that has an endpoint
    #[arg(long)]
    pub once: bool,
    /// How long changes are gathered before the command runs
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    pub debounce: Duration,
    /// How long the command may run
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub timeout: Duration,
    /// What follows when the command fails
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_failure: OnFailure,
    /// Name of the environment variables, SCS_REQUIRE_NAME…; the endpoint's without
    #[arg(long = "as", value_name = "NAME")]
    pub r#as: Option<String>,
    /// File that keeps the last known endpoints, so that a start without a server has some to print
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// Which server.
    #[command(flatten)]
    pub server: Server,
    /// How it is printed: addresses separated by blanks, or a JSON object, a line for each change.
    #[command(flatten)]
    pub output: Output,
    /// What is required, e.g. mysql or shop/db/mysql
    #[arg(value_name = "[[[ENV/]SERVICE/]ROLE/]ENDPOINT")]
    pub name: EndpointName,
    /// The command to run at each change, with the addresses in its environment, instead of printing them
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// How connections are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Balance {
    // In turn.
    #[default]
    RoundRobin,
    // The one with the fewest.
    LeastConnections,
}

/// What follows a command that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    // Run it again, after a pause that grows.
    #[default]
    Retry,
    // Wait for the next change.
    Ignore,
    // End with its exit code.
    Exit,
}

/// The name of an endpoint as it is typed: `[[[ENV/]SERVICE/]ROLE/]ENDPOINT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointName {
    /// The environment, where it was named.
    pub environment: Option<String>,
    /// The service, where it was named.
    pub service: Option<String>,
    /// The role, where it was named; `*` is any.
    pub role: Option<String>,
    /// The endpoint.
    pub endpoint: String,
}

impl FromStr for EndpointName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.rsplit('/').map(str::to_owned);
        let endpoint = parts.next().unwrap_or_default();
        let (role, service, environment) = (parts.next(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err("a name has at most four parts: ENV/SERVICE/ROLE/ENDPOINT".to_owned());
        }
        let named = [environment.as_ref(), service.as_ref(), Some(&endpoint)];
        let wrong = named.into_iter().flatten().find(|part| !disco_proto::label(part));
        let wrong = wrong.or_else(|| role.as_ref().filter(|role| *role != "*" && !disco_proto::label(role)));
        match wrong {
            Some(part) => Err(format!(
                "`{part}` is no part of a name: up to 63 small letters, digits and hyphens, neither first nor last a hyphen"
            )),
            None => Ok(Self { environment, service, role, endpoint }),
        }
    }
}

/// A forwarded port as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortTo {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it leads.
    pub name: EndpointName,
}

impl FromStr for PortTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not [ADDRESS:]PORT:NAME, like 3306:mysql or 0.0.0.0:3306:shop/db/mysql");
        let (listen, name) = text.rsplit_once(':').ok_or_else(wrong)?;
        let listen = match listen.rsplit_once(':') {
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.parse().map_err(|_| wrong())?),
            Some(("localhost", port)) => {
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| wrong())?)
            }
            Some(_) => listen.parse().map_err(|_| wrong())?,
        };
        Ok(Self { listen, name: name.parse()? })
    }
}

/// Host and port as they are typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not HOST:PORT (an IPv6 address in brackets)");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if host.is_empty() { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port }) }
    }
}

/// An attribute as it is typed: `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl FromStr for Attribute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err("an attribute is written KEY=VALUE".to_owned()),
        }
    }
}

/// A condition as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The attribute it is about.
    pub key: String,
    /// What has to hold.
    pub condition: disco_proto::Condition,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use disco_proto::Condition::{Exists, In, Not};
        let values = |list: &str| list.split(',').map(str::to_owned).collect();
        let (key, condition) = match text.split_once('=') {
            Some((key, list)) => match key.strip_suffix('!') {
                Some(key) => (key, Not(values(list))),
                None => (key, In(values(list))),
            },
            None => match text.strip_prefix('!') {
                Some(key) => (key, Exists(false)),
                None => (text, Exists(true)),
            },
        };
        if key.is_empty() {
            return Err("a condition is KEY=VALUE, KEY=ONE,OTHER, KEY!=VALUE, KEY or !KEY".to_owned());
        }
        Ok(Self { key: key.to_owned(), condition })
    }
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The port accepts.
    Tcp,
    /// This path answers with a status below 400.
    Http(String),
    /// Nothing.
    None,
}

impl FromStr for Health {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "tcp" => Ok(Self::Tcp),
            None if text == "none" => Ok(Self::None),
            Some(("http", path)) if path.starts_with('/') && !path.contains(char::is_whitespace) => {
                Ok(Self::Http(path.to_owned()))
            }
            _ => Err("a check is tcp, http:/PATH or none".to_owned()),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    scs_manifest::duration::parse(text).ok_or_else(|| format!("`{text}` is no time like 500ms, 10s or 5m"))
}

#[cfg(test)]
mod tests;
