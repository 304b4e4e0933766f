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

/// A copy of the example whose site takes any free port, so that it runs beside others.
#[must_use]
pub fn copy() -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("scs-blog-").tempdir().expect("a temporary directory can be made");
    let source = format!("{}/.", example().display());
    assert!(Command::new("cp").args(["-r", &source]).arg(copy.path()).status().is_ok_and(|status| status.success()));
    let overlay = "version: 1\ncontainers:\n  wordpress:\n    provide: { http: { publish: { port: null } } }\n";
    std::fs::write(copy.path().join("deployment.dev.yaml"), overlay).expect("files can be written");
    copy
}
