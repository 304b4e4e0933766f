//! `cargo xtask check`: all that is not a test.

use crate::{docs, shell, tidy};
use anyhow::Result;

/// Formatting, lints, documentation, layers, house rules, generated files.
pub fn run() -> Result<()> {
    shell::say("formatting");
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::say("layers and house rules");
    tidy::run()?;
    shell::say("lints");
    shell::run(&mut shell::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    shell::say("generated pages");
    docs::run(true)
}
