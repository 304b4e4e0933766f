//! Arguments that several commands share: which service, which format, which role.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Which service in which environment, by its manifests.
#[derive(Debug, Clone, Default, Args)]
pub struct Manifests {
    /// Environment; `--env prod` adds deployment.prod.yaml where it is there [env: SCS_ENV] [default: dev]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Manifest to read instead of deployment.yaml; several are merged in their order
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
}

/// Which service in which environment, by its manifests or its name.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// Environment [env: SCS_ENV] [default: dev]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Manifest that names the service, instead of deployment.yaml
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Service, where no manifest is at hand
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub service: Option<String>,
}

/// The same, for commands whose `-f` means something else.
#[derive(Debug, Clone, Default, Args)]
pub struct LongTarget {
    /// Environment [env: SCS_ENV] [default: dev]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Manifest that names the service, instead of deployment.yaml
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Service, where no manifest is at hand
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub service: Option<String>,
}

impl From<LongTarget> for Target {
    fn from(long: LongTarget) -> Self {
        Self { env: long.env, file: long.file, service: long.service }
    }
}

impl From<Manifests> for Target {
    fn from(manifests: Manifests) -> Self {
        Self { env: manifests.env, file: manifests.file, service: None }
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Output {
    /// Format of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// A format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    // For people.
    #[default]
    Table,
    // For programs.
    Json,
}

/// A role as it is typed: `[SERVICE/]ROLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAddress {
    /// The service, where it was named.
    pub service: Option<String>,
    /// The role.
    pub role: String,
}

impl FromStr for RoleAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, role) = match text.split_once('/') {
            Some((service, role)) => (Some(service), role),
            None => (None, text),
        };
        if role.is_empty() || role.contains('/') || service == Some("") {
            return Err("a role is written ROLE or SERVICE/ROLE; the environment goes into --env".to_owned());
        }
        Ok(Self { service: service.map(str::to_owned), role: role.to_owned() })
    }
}

/// A requirement as it is typed: `[SERVICE/]ROLE.REQUIREMENT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementAddress {
    /// The role that requires.
    pub role: RoleAddress,
    /// The requirement's name.
    pub requirement: String,
}

impl FromStr for RequirementAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('.') {
            Some((role, requirement)) if !requirement.is_empty() => {
                Ok(Self { role: role.parse()?, requirement: requirement.to_owned() })
            }
            _ => Err("a requirement is written ROLE.REQUIREMENT, e.g. wordpress.mysql".to_owned()),
        }
    }
}
