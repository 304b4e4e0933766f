//! `cargo xtask docs`: pages that the program writes about itself.

use crate::shell;
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// Page and the words that make `scs docs` print it.
const PAGES: &[(&str, &str)] =
    &[("docs/commands.md", "commands"), ("docs/manifest-reference.md", "manifests"), ("docs/openapi.json", "openapi")];

/// Writes the pages, or fails where they differ from what would be written.
pub fn run(check: bool) -> Result<()> {
    shell::run(&mut shell::cargo(&["build", "--quiet", "--workspace", "--bin", "scs"]))?;
    let program = binary();
    for (page, topic) in PAGES {
        let text = shell::output(Command::new(&program).args(["docs", topic]))?;
        let path = shell::root().join(page);
        if !check {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            bail!("{page} does not say what the program says: run `cargo xtask docs` and commit it");
        }
    }
    Ok(())
}

/// The program as `cargo build` leaves it.
pub fn binary() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), Into::into);
    target.join("debug/scs")
}
