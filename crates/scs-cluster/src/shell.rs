//! Running other programs and failing with what they said.

use anyhow::{Context, Result, bail};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs it in silence; fails unless it exits 0, with what it wrote.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program and its arguments, divided by blanks.
pub fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// Says something to whoever watches.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
