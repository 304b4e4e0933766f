//! Processes that hold namespaces: found again by a file, also after whoever started them has ended.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A process that holds namespaces, one of processes among them: killing it ends every process in them.
#[derive(Debug, Clone)]
pub struct Holder {
    file: PathBuf,
}

impl Holder {
    /// The holder that is remembered in this file.
    pub fn remembered(file: PathBuf) -> Self {
        Self { file }
    }

    /// Its process id, while it lives. A later process of the same number is not mistaken for it.
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        (lives(pid) && started_at(pid)? == started).then_some(pid)
    }

    /// Starts one in a process namespace of its own, and in those that `unshare` names by these flags. `first` runs in them before
    /// anything else.
    pub fn start(&self, flags: &[&str], first: &str) -> Result<u32> {
        // Bash adopts and buries what loses its parent, as the first process of a host has to.
        let script = format!("set -e\n{first}\nexec bash -c 'while :; do sleep 3600 & wait $!; done'");
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--kill-child", "--fork"]).args(flags).args(["bash", "-c", &script]);
        unshare.stdin(Stdio::null()).stdout(Stdio::null());
        let log = self.file.with_extension("log");
        unshare.stderr(fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?);
        std::os::unix::process::CommandExt::process_group(&mut unshare, 0);
        let mut child = unshare.spawn().context("cannot start unshare (package util-linux)")?;
        let parent = child.id();
        let mut pid = None;
        crate::wait_for("a namespace to be made", || {
            if let Ok(Some(status)) = child.try_wait() {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("unshare ended ({status}): {}", said.trim()));
            }
            // Ready once the inner shell has replaced the one that prepares.
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            pid = children.split_whitespace().next().and_then(|it| it.parse().ok());
            let ready = pid.is_some_and(|pid: u32| {
                fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    line.starts_with("bash\0-c\0while")
                })
            });
            if ready { Ok(()) } else { Err(format!("its first process is {pid:?}")) }
        })?;
        let pid = pid.context("it has no process")?;
        let started = started_at(pid).context("it ended at once")?;
        fs::write(&self.file, format!("{pid} {started}\n"))
            .with_context(|| format!("cannot write {}", self.file.display()))?;
        Ok(pid)
    }

    /// Kills it, and with it all that is in its namespaces, and waits for the end.
    pub fn kill(&self) -> Result<()> {
        if let Some(pid) = self.pid() {
            crate::shell::run(Command::new("kill").args(["-9", &pid.to_string()]))?;
            crate::wait_for("a host's processes to end", || match lives(pid) {
                true => Err(format!("process {pid} still runs")),
                false => Ok(()),
            })?;
        }
        remove(&self.file)
    }
}

/// Removes a file that may not be there.
pub fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a process lives; one that has ended and waits for its parent does not.
pub fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// When a process started, in the kernel's own count: with the process id, unique since boot.
fn started_at(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so counted from its end: start time is field 22.
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_holder_started_outlives_it() {
        let file = std::env::temp_dir().join(format!("scs-holder-{}.pid", std::process::id()));
        let holder = Holder::remembered(file.clone());
        let pid = holder.start(&["--net"], "").expect("namespaces can be made (as root)");
        let mut child = None;
        let children = format!("/proc/{pid}/task/{pid}/children");
        crate::wait_for("the holder to sleep", || {
            let text = fs::read_to_string(&children).unwrap_or_default();
            child = text.split_whitespace().next().and_then(|it| it.parse::<u32>().ok());
            child.map(drop).ok_or(text)
        })
        .expect("it sleeps in a process of its own");
        holder.kill().expect("it can be killed");
        let child = child.expect("it was found");
        crate::wait_for("what it started to end", || if lives(child) { Err(format!("{child} lives")) } else { Ok(()) })
            .expect("it does not outlive the holder");
        let _ = remove(&file.with_extension("log"));
    }
}
