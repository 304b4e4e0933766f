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

/// What is done although another directory brought the service up.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct TakeOver {
    /// Do it although the service was brought up from another directory
    #[arg(long)]
    pub take_over: bool,
}

/// A role, or one instance of it, as it is typed: `[SERVICE/]ROLE[.INDEX]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAddress {
    /// The service, where it was named.
    pub service: Option<String>,
    /// The role.
    pub role: String,
    /// Only this instance.
    pub index: Option<u32>,
}

impl RoleAddress {
    /// `ROLE[.INDEX]`.
    #[must_use]
    pub fn instance(&self) -> String {
        self.index.map_or_else(|| self.role.clone(), |index| format!("{}.{index}", self.role))
    }

    /// Reads one where an instance makes no sense.
    ///
    /// # Errors
    /// Where it names an instance, or is none.
    pub fn whole(text: &str) -> Result<Self, String> {
        match text.parse::<Self>()? {
            Self { index: Some(_), .. } => Err("here a whole role is meant, so leave the index out".to_owned()),
            whole => Ok(whole),
        }
    }
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
        let (role, index) = match role.split_once('.') {
            Some((role, index)) => {
                let number = index.parse().map_err(|_| {
                    format!(
                        "`{index}` is no index: an instance is written ROLE.INDEX, e.g. worker.1, as `scs ps` prints it"
                    )
                })?;
                (role, Some(number))
            }
            None => (role, None),
        };
        Ok(Self { service: service.map(str::to_owned), role: role.to_owned(), index })
    }
}

/// A requirement as it is typed: `[SERVICE/]ROLE[.INDEX].REQUIREMENT`. What follows the last point is always the requirement.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> Result<(Option<String>, String, Option<u32>), String> {
        text.parse::<RoleAddress>().map(|it| (it.service, it.role, it.index))
    }

    #[test]
    fn what_ps_prints_of_an_instance_can_be_typed() {
        assert_eq!(role("worker"), Ok((None, "worker".to_owned(), None)));
        assert_eq!(role("worker.1"), Ok((None, "worker".to_owned(), Some(1))));
        assert_eq!(role("blog/worker.0"), Ok((Some("blog".to_owned()), "worker".to_owned(), Some(0))));
        assert!(role("worker.x").unwrap_err().contains("worker.1"));
        assert!(role("dev/blog/worker").unwrap_err().contains("--env"));
        assert!(RoleAddress::whole("worker.1").is_err());
    }

    #[test]
    fn a_requirement_stands_behind_the_last_point() {
        let typed = |text: &str| text.parse::<RequirementAddress>().map(|it| (it.role.instance(), it.requirement));
        assert_eq!(typed("worker.mysql"), Ok(("worker".to_owned(), "mysql".to_owned())));
        assert_eq!(typed("worker.1.mysql"), Ok(("worker.1".to_owned(), "mysql".to_owned())));
        assert_eq!(typed("worker.1"), Ok(("worker".to_owned(), "1".to_owned())));
        assert!(typed("worker").is_err());
    }
}
