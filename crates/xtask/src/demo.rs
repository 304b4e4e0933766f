//! `cargo xtask demo`.

use anyhow::Result;
use clap::Args;

/// How it is shown.
#[derive(Args)]
pub struct Options {}

/// Shows it.
pub fn run(_options: &Options) -> Result<()> {
    Ok(())
}
