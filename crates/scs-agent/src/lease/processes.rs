//! Processes of a container, found without its engine.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::io;

/// Kills every process of a container; how many there were. Killing its first one has the kernel end the rest, so only whoever comes
/// while this looks is found by the next look.
pub(super) fn kill(container: &str) -> io::Result<usize> {
    let mut killed = 0;
    for pid in of(container)? {
        let Some(pid) = Pid::from_raw(pid) else { continue };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The number may have become another's meanwhile; the descriptor stays with whom it was opened for.
        if belongs(pid.as_raw_nonzero().get(), container) && pidfd_send_signal(&process, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    Ok(killed)
}

/// Whether a container has processes that are seen from here.
pub(super) fn any(container: &str) -> io::Result<bool> {
    Ok(!of(container)?.is_empty())
}

fn of(container: &str) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    // Anything shorter would be found in the groups of processes that are no container's.
    if !is_id(container) {
        return Ok(found);
    }
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        found.extend(pid.filter(|pid| belongs(*pid, container)));
    }
    Ok(found)
}

/// Whether it is the whole id of a container: engines give 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The engine names a container's control group by its id: `…/ID`, or `…/docker-ID.scope` under systemd. One that has ended and waits for
/// its parent is in none that counts.
fn belongs(pid: i32, container: &str) -> bool {
    let in_group = fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(container));
    in_group && !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_belongs_to_a_container_that_is_not_there() {
        let id = "6c1b0e0d0f7e4b1fa8f5b9e5cf2d7f8a".repeat(2);
        assert!(!any(&id).expect("processes are listed"));
        assert_eq!(kill(&id).expect("processes are listed"), 0);
    }

    #[test]
    fn what_is_not_a_whole_id_names_nobody() {
        // Every process is in a group whose name contains these.
        for text in ["", "/", "0"] {
            assert!(!any(text).expect("processes are listed"), "{text:?}");
        }
    }
}
