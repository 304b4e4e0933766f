//! Makes a minimal system with mmdebstrap or debootstrap and gives out its tar.

use super::Error;
use crate::tail::Tail;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use scs_ports::engine::Progress;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

const PIECE: usize = 256 * 1024;
/// Archive of all states of Debian's archive.
const SNAPSHOTS: &str = "http://snapshot.debian.org/archive";

/// What this machine offers to make base systems with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Directories that are searched for programs.
    pub path: Vec<PathBuf>,
    /// Whether we run as root.
    pub root: bool,
    /// Environment variables set for the program beside our own.
    pub environment: Vec<(String, String)>,
}

impl Tools {
    /// What this process finds: `PATH` and the system directories that a user's `PATH` may lack.
    #[must_use]
    pub fn here() -> Self {
        let mut path: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        path.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        Tools { path, root: rustix::process::geteuid().is_root(), environment: Vec::new() }
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let candidates = self.path.iter().map(|directory| directory.join(program));
        candidates.into_iter().find(|path| {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        })
    }
}

/// A base to make.
#[derive(Debug)]
pub(super) struct Maker {
    pub name: String,
    suite: String,
    snapshot: Option<String>,
}

impl Maker {
    pub fn new(suite: &str, snapshot: Option<&str>) -> Result<Self, Error> {
        let word = |text: &str| {
            text.starts_with(|char: char| char.is_ascii_alphanumeric())
                && text.chars().all(|char| char.is_ascii_alphanumeric() || "._-".contains(char))
        };
        if !word(suite) {
            return Err(Error::Name { text: suite.to_owned(), what: "the name of a release, e.g. `bookworm`" });
        }
        let timestamp = snapshot
            .map(|text| {
                let what = "a snapshot date, e.g. `2025-05-20` or `20250520T000000Z`";
                timestamp(text).ok_or_else(|| Error::Name { text: text.to_owned(), what })
            })
            .transpose()?;
        Ok(Maker { name: super::name(suite, snapshot), suite: suite.to_owned(), snapshot: timestamp })
    }

    /// How it is made on this machine.
    pub fn plan(&self, tools: &Tools) -> Result<Plan, Error> {
        let unable = |message: &str, install| {
            Err(Error::Unable { name: self.name.clone(), message: message.to_owned(), install })
        };
        if let Some(program) = tools.find("mmdebstrap") {
            if !tools.root && tools.find("newuidmap").is_none() {
                return unable(
                    "without root, mmdebstrap needs newuidmap, which is not there",
                    "apt-get install uidmap",
                );
            }
            let mode = if tools.root { "root" } else { "unshare" };
            let mut arguments =
                vec!["--variant=minbase".to_owned(), format!("--mode={mode}"), "--format=tar".to_owned()];
            arguments.extend([self.suite.clone(), "-".to_owned()]);
            arguments.extend(self.sources());
            return Ok(Plan { program, script: MMDEBSTRAP, arguments });
        }
        if let Some(program) = tools.find("debootstrap") {
            if !tools.root {
                return unable("debootstrap needs root; mmdebstrap works without", "apt-get install mmdebstrap uidmap");
            }
            let mut arguments = vec![self.suite.clone()];
            arguments.extend(self.snapshot.iter().map(|timestamp| format!("{SNAPSHOTS}/debian/{timestamp}")));
            return Ok(Plan { program, script: DEBOOTSTRAP, arguments });
        }
        unable("neither mmdebstrap nor debootstrap is installed", "apt-get install mmdebstrap")
    }

    /// Package sources of a snapshot; they stay in the image, so that builds on it are pinned too.
    fn sources(&self) -> Vec<String> {
        let Some(timestamp) = &self.snapshot else { return Vec::new() };
        let suite = &self.suite;
        let line = |archive: &str, suite: &str| {
            format!("deb [check-valid-until=no] {SNAPSHOTS}/{archive}/{timestamp} {suite} main")
        };
        let mut sources = vec![line("debian", suite)];
        // The unstable suites have neither.
        if !["sid", "unstable", "testing", "experimental"].contains(&suite.as_str()) {
            sources.push(line("debian", &format!("{suite}-updates")));
            sources.push(line("debian-security", &format!("{suite}-security")));
        }
        sources
    }
}

/// A program that makes a base, and the shell script around it, which writes a tar to standard output.
#[derive(Debug)]
pub(super) struct Plan {
    /// `$0` of the script.
    pub program: PathBuf,
    pub script: &'static str,
    pub arguments: Vec<String>,
}

/// mmdebstrap removes its own directory even when it is ended, but not always its keyring's; and the shell waits for it.
const MMDEBSTRAP: &str = r#"set -eu
scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
trap 'exit 143' HUP INT TERM PIPE
chmod 0755 "$scratch"
TMPDIR=$scratch "$0" "$@"
"#;

/// debootstrap fills a directory; this gives out its tar and removes it, whatever happens.
const DEBOOTSTRAP: &str = r#"set -eu
scratch=$(mktemp -d)
trap 'rm -rf --one-file-system "$scratch"' EXIT
trap 'exit 143' HUP INT TERM PIPE
chmod 0755 "$scratch"
"$0" --variant=minbase "$1" "$scratch" ${2:+"$2"} >&2
rm -rf "$scratch"/var/cache/apt/*.bin "$scratch"/var/cache/apt/archives/*.deb "$scratch"/var/lib/apt/lists/*
tar -C "$scratch" --numeric-owner --one-file-system --xattrs --xattrs-include='*' --exclude='./dev/*' -cf - .
"#;

/// `2025-05-20`, `20250520` and `20250520T103000Z` as the archive writes them.
fn timestamp(text: &str) -> Option<String> {
    let plain = text.replace('-', "");
    let (date, time) = plain.split_once('T').unwrap_or((&plain, "000000Z"));
    let time = time.strip_suffix('Z')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(date, 8) && digits(time, 6)).then(|| format!("{date}T{time}Z"))
}

/// Runs the program and hands its tar to `take`; the inner result is `take`'s. A program that fails breaks the tar off, so
/// that nobody takes a half one for whole.
pub(super) async fn run<T, F: Future<Output = T>>(
    plan: &Plan,
    tools: &Tools,
    progress: &Tail<'_>,
    take: impl FnOnce(BoxStream<'static, std::io::Result<Bytes>>) -> F,
) -> Result<T, String> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", plan.script]).arg(&plan.program).args(&plan.arguments);
    command.envs(tools.environment.iter().cloned()).envs(apt_proxies(tools).await);
    // Nobody answers questions, and nobody sees progress bars.
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // A group of its own: it is ended as a whole, and Ctrl-C reaches it through us alone.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let stdout = child.stdout.take().expect("it was piped");
    let stderr = child.stderr.take().expect("it was piped");
    let ended = Arc::new(Mutex::new(None));
    let tar = tar(Running(child), stdout, Arc::clone(&ended));
    let reading = async {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            progress.line(String::from_utf8_lossy(&line).trim_end());
        }
    };
    let (taken, ()) = tokio::join!(take(tar), reading);
    let failed = ended.lock().expect("no holder of this lock panics").take();
    failed.map_or(Ok(taken), Err)
}

/// The program's output, ending well only if the program does; `failed` is told otherwise.
fn tar(
    child: Running,
    stdout: tokio::process::ChildStdout,
    failed: Arc<Mutex<Option<String>>>,
) -> BoxStream<'static, std::io::Result<Bytes>> {
    let state = Some((child, stdout, failed));
    futures_util::stream::unfold(state, async |state| {
        let (mut child, mut stdout, failed) = state?;
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        match stdout.read_buf(&mut piece).await {
            Ok(0) => {}
            Ok(_) => return Some((Ok(piece.freeze()), Some((child, stdout, failed)))),
            Err(error) => return Some((Err(error), None)),
        }
        let message = match child.0.wait().await {
            Ok(status) if status.success() => return None,
            Ok(status) => format!("it ended with {status}"),
            Err(error) => format!("how it ended is unknown: {error}"),
        };
        *failed.lock().expect("no holder of this lock panics") = Some(message.clone());
        Some((Err(std::io::Error::other(message)), None))
    })
    .boxed()
}

/// A program that is asked to end (and so to clean up) when nobody waits for it any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // No id: it has ended and was waited for.
        if let Some(id) = self.0.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::TERM);
        }
    }
}

/// The proxies that apt is configured with on this machine, for a program that reads only the environment.
async fn apt_proxies(tools: &Tools) -> Vec<(String, String)> {
    let mut proxies = Vec::new();
    let Some(program) = tools.find("apt-config") else { return proxies };
    for (scheme, upper) in [("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY")] {
        let name = format!("{scheme}_proxy");
        if std::env::var_os(&name).is_some() || std::env::var_os(upper).is_some() {
            continue;
        }
        let option = format!("Acquire::{scheme}::Proxy");
        let output = Command::new(&program).args(["dump", "--format", "%v%n", &option]).output().await;
        let value = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        let value = value.trim();
        if !value.is_empty() && value != "DIRECT" && !value.contains('\n') {
            proxies.push((name, value.to_owned()));
        }
    }
    proxies
}

#[cfg(test)]
mod tests;
