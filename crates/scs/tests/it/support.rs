//! Runs the program in a directory of its own, with nothing of this machine's user in its environment.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A place to run in.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// With a deployment of one role.
    pub fn with(deployment: &str) -> Self {
        let place = Self::new();
        place.write("deployment.yaml", deployment);
        place
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scs"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path().join("home"))
            .env("SCS_STATE_DIR", self.path().join("state"))
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .stdin(Stdio::null());
        command
    }

    /// What a command prints and how it ends, as one text.
    pub fn shown(&self, arguments: &[&str]) -> String {
        shown(&mut self.command(arguments))
    }

    pub fn code(&self, arguments: &[&str]) -> i32 {
        self.command(arguments).output().unwrap().status.code().unwrap()
    }

    pub fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

pub fn shown(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let mut text = format!("exit {}\n", output.status.code().map_or("by a signal".to_owned(), |code| code.to_string()));
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let part = String::from_utf8(bytes).unwrap();
        assert!(!part.contains('\u{1b}'), "escape codes without a terminal: {part:?}");
        if !part.is_empty() {
            write!(text, "--- {name}\n{part}").unwrap();
        }
    }
    text
}

/// Replaces what differs between two runs.
pub fn filters() -> Vec<(&'static str, &'static str)> {
    vec![(r"/tmp/[.]tmp\w+", "[DIR]"), (r"[0-9a-f]{64}", "[DIGEST]"), (r"scs \d+\.\d+\.\d+", "scs [VERSION]")]
}

macro_rules! snapshot {
    ($shown:expr, @$expected:literal) => {{
        let mut settings = insta::Settings::clone_current();
        for (pattern, replacement) in crate::support::filters() {
            settings.add_filter(pattern, replacement);
        }
        settings.bind(|| insta::assert_snapshot!($shown, @$expected));
    }};
}
pub(crate) use snapshot;
