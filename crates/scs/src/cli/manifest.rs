//! Commands that read and write manifests and need nothing else.

use super::target::{Manifests, Output};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `scs init`
#[derive(Debug, Args)]
pub struct Init {
    /// Directory to write to; made where it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
}

/// `scs validate`
#[derive(Debug, Args)]
pub struct Validate {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
}

/// `scs config`
#[derive(Debug, Args)]
pub struct Config {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Leave out where each value comes from
    #[arg(long)]
    pub no_origin: bool,
    /// How it is printed: YAML for people, or JSON.
    #[command(flatten)]
    pub output: Output,
}

/// `scs compile`
#[derive(Debug, Args)]
pub struct Compile {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Only this role
    #[arg(value_name = "ROLE")]
    pub role: Option<String>,
}

/// `scs schema`
#[derive(Debug, Args)]
pub struct Schema {
    /// Which manifest
    #[arg(value_enum, value_name = "MANIFEST")]
    pub kind: Kind,
}

/// A kind of manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    // image.yaml
    Image,
    // deployment.yaml
    Deployment,
}
