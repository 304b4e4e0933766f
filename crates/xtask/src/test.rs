//! `cargo xtask test`: every test, with a real engine.

use crate::{engine, packages, shell};
use anyhow::Result;
use clap::Args;

/// Which tests.
#[derive(Args)]
pub struct Options {
    /// Passed on to the test runner, e.g. a part of a test's name
    #[arg(trailing_var_arg = true)]
    filters: Vec<String>,
}

/// Installs what is missing, starts an engine where none runs, runs the tests, ends the engine again.
pub fn run(options: &Options) -> Result<()> {
    packages::install(&[
        packages::ENGINE,
        packages::BASE,
        packages::SITE,
        packages::HOSTS,
        packages::CLUSTER,
        packages::CLIENT,
        packages::SOURCES,
    ])?;
    let _engine = engine::ensure()?;
    shell::say("running every test");
    let nextest = shell::succeeds(&mut shell::cargo(&["nextest", "--version"]));
    let arguments: &[&str] = if nextest { &["nextest", "run", "--workspace"] } else { &["test", "--workspace"] };
    shell::run(shell::cargo(arguments).args(&options.filters))
}
