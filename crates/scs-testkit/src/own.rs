//! A Docker Engine of a test's own, which may be stopped, frozen and killed: the machine's own is everybody's.

use crate::wait::wait_for_blocking;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts the engine whenever told to, and clears it away as soon as nobody holds the other end of its standard input: that is
/// so when the test has ended, however it did. Its parts are told apart from all others by the directory in their paths.
const KEEPER: &str = r#"
dir=$1
start() {
    wait
    # Whoever was killed has left these; a process that nobody has buried yet still counts as living to the engine.
    kill -9 $(cat "$dir/exec/containerd/containerd.pid")
    rm -f "$dir/pid" "$dir/exec/containerd/containerd.pid"
    dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" --host "unix://$dir/sock" \
        --shutdown-timeout 2 >> "$dir/log" 2>&1 < /dev/null &
}
ip link set lo up
start
while read -r word; do
    test "$word" = start && start
done
trap '' TERM HUP INT
for pid in $(cat "$dir/pid" "$dir/exec/containerd/containerd.pid"); do kill -CONT "$pid"; done
if test -S "$dir/sock"; then
    export DOCKER_HOST="unix://$dir/sock"
    timeout 20 docker ps --all --quiet | timeout 60 xargs --no-run-if-empty docker rm --force --volumes
fi
kill $(cat "$dir/pid")
for _ in $(seq 100); do test -e "$dir/pid" && kill -0 $(cat "$dir/pid") || break; sleep 0.1; done
kill -9 $(cat "$dir/pid") $(cat "$dir/exec/containerd/containerd.pid")
for process in /proc/[0-9]*; do
    tr '\0' ' ' < "$process/cmdline" | grep -q -- "$dir/exec" && kill -9 "${process#/proc/}"
done
wait
awk -v "dir=$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf "$dir"
"#;

/// A base system out of one program.
const BUSYBOX: &str = r#"
set -e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/usr/sbin"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in $(busybox --list); do test $name = busybox || ln -s busybox "$root/bin/$name"; done
echo 'root:x:0:0::/:/bin/sh' > "$root/etc/passwd"
tar -c -C "$root" . | docker import - "$0"
"#;

/// Starting one takes about 2 s here; a busy machine several times that.
const START: Duration = Duration::from_secs(60);

/// An engine of the test's own, in a network of its own: two engines in one network take each other's bridges down. What talks
/// to containers has to run in that network too ([`OwnEngine::network`]). Ended and cleared away when dropped, and when the
/// test's process is killed. Needs root.
#[derive(Debug)]
pub struct OwnEngine {
    directory: PathBuf,
    keeper: Child,
}

impl OwnEngine {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// When it cannot be started; its log is shown.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("scs-engine-").tempdir().expect("a test needs a directory");
        let directory = directory.keep();
        let keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", KEEPER, "sh"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: what kills the test as a group must not kill what cleans up after it.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        let engine = OwnEngine { directory, keeper };
        engine.wait_until_it_answers();
        engine
    }

    /// Its address, as `DOCKER_HOST` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its network namespace, for `nsenter --net=…`.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.keeper.id()))
    }

    /// Where it keeps its things.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Asks it to end, and waits until it has. Its containers end with it.
    pub fn stop(&self) {
        self.signal("TERM");
        self.wait_until_gone();
    }

    /// Ends it at once, and waits until it is gone. Its containers run on, unseen.
    pub fn kill(&self) {
        self.signal("KILL");
        self.wait_until_gone();
    }

    /// Starts it again and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_again(&mut self) {
        let keeper = self.keeper.stdin.as_mut().expect("it was piped");
        keeper.write_all(b"start\n").expect("the keeper lives as long as this");
        self.wait_until_it_answers();
    }

    /// Stops it from doing anything, without ending it: connections are accepted, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Runs `docker` on it and gives what it prints.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(arguments).env("DOCKER_HOST", self.address()).output();
        let output = output.expect("the docker command is installed");
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes an image without any file, for containers that run the helper which scs mounts.
    ///
    /// # Panics
    /// When the engine does not take it.
    pub fn make_empty_image(&self, reference: &str) {
        let script = "d=$(mktemp -d) && tar -c -C $d . | docker import - $0 && rmdir $d";
        let status = Command::new("sh").args(["-c", script, reference]).env("DOCKER_HOST", self.address()).output();
        let output = status.expect("a shell can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes an image of BusyBox alone, with a shell at `/bin/sh`.
    ///
    /// # Panics
    /// When the engine does not take it, or BusyBox is not installed.
    pub fn make_busybox_image(&self, reference: &str) {
        let output = Command::new("sh").args(["-c", BUSYBOX, reference]).env("DOCKER_HOST", self.address()).output();
        let output = output.expect("a shell can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("sock")
    }

    fn pid(&self) -> Option<String> {
        let pid = std::fs::read_to_string(self.directory.join("pid")).ok()?;
        Some(pid.trim().to_owned()).filter(|it| !it.is_empty())
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().expect("it runs");
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.is_ok_and(|it| it.success()), "engine {pid} cannot be sent {signal}");
    }

    fn wait_until_gone(&self) {
        wait_for_blocking("the engine to end", START, || {
            let Some(pid) = self.pid() else { return Ok(()) };
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        });
    }

    fn wait_until_it_answers(&self) {
        wait_for_blocking("the engine to answer", START, || {
            let up = UnixStream::connect(self.socket()).map_err(|error| error.to_string()).and_then(|_| {
                let asked = Command::new("docker").arg("version").env("DOCKER_HOST", self.address()).output();
                let asked = asked.map_err(|error| error.to_string())?;
                if asked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&asked.stderr).into_owned()) }
            });
            up.map_err(|error| {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                format!("{error}\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
            })
        });
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_frozen_leaves_nothing_and_one_that_was_killed_starts_again() {
        let mut engine = OwnEngine::start();
        engine.make_empty_image("empty:1");
        let _ = engine.docker(&["network", "create", "net"]);
        engine.kill();
        engine.start_again();
        assert_eq!(engine.docker(&["images", "--quiet"]).lines().count(), 1);
        engine.freeze();
        let directory = engine.directory().display().to_string();
        drop(engine);
        assert!(!Path::new(&directory).exists());
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&directory), "{mounts}");
    }
}
