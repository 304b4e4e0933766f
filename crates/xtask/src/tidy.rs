//! House rules that no lint knows: file sizes, first lines, what cores must not name, sleeps.

use crate::{layers, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::process::Command;

/// Longer than this is two files.
const LONGEST: usize = 1000;

/// What a pure core must not name, with the reason.
const NOT_IN_CORES: &[(&str, &str)] = &[
    ("std::fs", "cores do no IO"),
    ("std::net::Tcp", "cores do no IO"),
    ("Instant::now", "time is handed to cores"),
    ("SystemTime::now", "time is handed to cores"),
    ("std::env::var", "settings are handed to cores"),
];

/// Checks all rules and lists everything that breaks one.
pub fn run() -> Result<()> {
    layers::check()?;
    let files = shell::output(Command::new("git").args(["ls-files", "*.rs"]).current_dir(shell::root()))?;
    let mut wrong = Vec::new();
    for file in files.lines() {
        let path = shell::root().join(file);
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        check(file, &text, &mut wrong);
    }
    if !wrong.is_empty() {
        bail!("house rules:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn check(file: &str, text: &str, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LONGEST {
        wrong.push(format!("{file}: {lines} lines, more than {LONGEST}: split it at a seam"));
    }
    if !text.starts_with("//!") {
        wrong.push(format!("{file}:1: say in a `//!` line what this file is"));
    }
    let core = ["crates/disco-proto/src", "crates/disco-core/src", "crates/scs-manifest/src", "crates/scs-plan/src"];
    let is_core = core.iter().any(|folder| file.starts_with(folder))
        && !file.ends_with("tests.rs")
        && !file.ends_with("simulation.rs");
    let is_test = file.contains("/tests/") || file.ends_with("tests.rs");
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        let at = format!("{file}:{}", number + 1);
        if is_core {
            wrong.extend(
                NOT_IN_CORES
                    .iter()
                    .filter(|(name, _)| line.contains(name))
                    .map(|(name, why)| format!("{at}: `{name}`: {why}")),
            );
        }
        // What waits for a condition has to pause between two looks at it.
        if is_test && line.contains("thread::sleep(") && !text.contains("fn wait_for(") {
            wrong.push(format!("{at}: a test waits for a condition (`scs_testkit::wait_for`), it does not sleep"));
        }
    }
}
