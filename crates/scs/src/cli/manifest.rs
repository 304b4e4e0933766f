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

/// `scs diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The two environments
    #[arg(long, value_name = "ENV", required = true, num_args = 1)]
    pub env: Vec<String>,
    /// Manifest to read instead of deployment.yaml; several are merged in their order
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
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
