//! `cargo xtask bench`: measurements, each beside the bare thing in the same run.

use anyhow::Result;
use clap::Args;

/// Which measurements.
#[derive(Args)]
pub struct Options {}

/// Runs them.
pub fn run(_options: &Options) -> Result<()> {
    Ok(())
}
