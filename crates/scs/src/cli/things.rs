//! Commands that look after secrets, volumes, layouts and what is left over.

use super::target::{Manifests, Output, TakeOver, Target};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `scs secret`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Secret {
    /// What to do.
    #[command(subcommand)]
    pub verb: SecretVerb,
}

/// What `scs secret` does.
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// List secrets; never their values
    Ls(SecretList),
    /// Give a secret a value, read from standard input or a file
    Set(SecretSet),
    /// Generate a new value and tell every container that uses it
    Rotate(SecretName),
}

/// `scs secret ls`
#[derive(Debug, Args)]
pub struct SecretList {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs secret set`
#[derive(Debug, Args)]
pub struct SecretSet {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Secret, by its name in the deployment
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Whose service it may be.
    #[command(flatten)]
    pub take_over: TakeOver,
    /// File that holds the value; standard input without. One line end at its end is dropped
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// `scs secret rotate`
#[derive(Debug, Args)]
pub struct SecretName {
    /// Which service.
    #[command(flatten)]
    pub target: Target,
    /// Whose service it may be.
    #[command(flatten)]
    pub take_over: TakeOver,
    /// Secret, by its name in the deployment
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `scs volume`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Volume {
    /// What to do.
    #[command(subcommand)]
    pub verb: VolumeVerb,
}

/// What `scs volume` does.
#[derive(Debug, Subcommand)]
pub enum VolumeVerb {
    /// List volumes, those of services that are down too
    Ls(VolumeList),
    /// Delete a volume with its data
    Rm(VolumeRemove),
    /// Write a volume's files as a tar archive
    Export(VolumeExport),
    /// Put a tar archive's files into a volume that nothing uses, in place of what it holds
    Import(VolumeImport),
}

/// `scs volume ls`
#[derive(Debug, Args)]
pub struct VolumeList {
    /// Only of this environment
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Only of this service
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs volume rm`
#[derive(Debug, Args)]
pub struct VolumeRemove {
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// Volume, as `scs volume ls` lists it
    #[arg(value_name = "VOLUME")]
    pub id: String,
}

/// `scs volume export`
#[derive(Debug, Args)]
pub struct VolumeExport {
    /// File to write; standard output without
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Volume, as `scs volume ls` lists it
    #[arg(value_name = "VOLUME")]
    pub id: String,
}

/// `scs volume import`
#[derive(Debug, Args)]
pub struct VolumeImport {
    /// File to read; standard input without
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// Volume, as `scs volume ls` lists it
    #[arg(value_name = "VOLUME")]
    pub id: String,
}

/// `scs prune`
#[derive(Debug, Args)]
pub struct Prune {
    /// Do not ask [env: SCS_YES]
    #[arg(short, long)]
    pub yes: bool,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs layout`
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Layout {
    /// What to do.
    #[command(subcommand)]
    pub verb: LayoutVerb,
}

/// What `scs layout` does.
#[derive(Debug, Subcommand)]
pub enum LayoutVerb {
    /// List the layouts that the manifests name
    Ls(Layouts),
    /// Move the service's roles to where a layout says
    Apply(ApplyLayout),
}

/// `scs layout ls`
#[derive(Debug, Args)]
pub struct Layouts {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// How it is printed.
    #[command(flatten)]
    pub output: Output,
}

/// `scs layout apply`
#[derive(Debug, Args)]
pub struct ApplyLayout {
    /// Which manifests.
    #[command(flatten)]
    pub manifests: Manifests,
    /// Most that is copied in a second, e.g. 50MB
    #[arg(long, value_name = "SIZE", value_parser = super::change::size)]
    pub bandwidth: Option<u64>,
    /// Which layout
    #[arg(value_name = "NAME")]
    pub name: String,
}
