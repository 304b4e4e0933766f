//! The example blog as its visitors use it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example's directory in the repository.
#[must_use]
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/blog")
}

/// A visitor of the site at `url`: runs the example's own script.
#[must_use]
pub fn visit(url: &str, arguments: &[&str]) -> Output {
    Command::new("python3")
        .arg(example().join("site.py"))
        .args(["--url", url])
        .args(arguments)
        .output()
        .expect("python3 is installed (cargo xtask test sees to it)")
}

/// A visit that has to succeed.
pub fn visit_ok(url: &str, arguments: &[&str]) -> String {
    let output = visit(url, arguments);
    assert!(
        output.status.success(),
        "site.py {}: {}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
