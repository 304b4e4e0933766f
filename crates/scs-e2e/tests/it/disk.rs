//! Full disks: small file systems in memory in the place of the state directory and of the cache of images.

use scs_e2e::Scs;
use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn of(size: &str) -> Self {
        let place = tempfile::Builder::new().prefix("scs-small-").tempdir().expect("a directory can be made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "scs-test"]);
        assert!(mount.arg(place.path()).status().is_ok_and(|it| it.success()), "mounting needs root");
        Self(place)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte of room; what is given back is the file to remove.
    fn fill(&self) -> PathBuf {
        let file = self.path().join("filler");
        let filled = Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", file.display())).arg("bs=4k").output();
        assert!(!filled.expect("dd can be started").status.success(), "dd goes on until there is no room");
        file
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_under_the_state_is_an_error_that_says_so_and_costs_nothing_that_runs() {
    let small = Small::of("64m");
    let project = Project::store_and_web();
    let scs = Scs::inside(small.path(), project.path());
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    let _ = docker(&["exec", &store, "sh", "-c", "echo precious > /data/file"]);
    let filler = small.fill();
    project.replace("deployment.yaml", "greeting: hello", "greeting: full");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    let said = run.stderr();
    assert!(said.contains("No space left") || said.contains("disk is full"), "{}", run.shown());
    assert!(said.contains("hint:"), "{}", run.shown());
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &store]), "true", "what runs runs on");
    std::fs::remove_file(filler).expect("it is there");
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), "full");
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/data/file"]).trim(), "precious");
}

#[test]
fn a_full_disk_under_the_cache_of_images_is_told_and_leaves_no_half_file() {
    let small = Small::of("1m");
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    // An image that is in no cache yet.
    project.replace("deployment.yaml", "greeting: hello", &format!("greeting: full-{}", std::process::id()));
    let output = scs.command(&["up", "-d"]).env("SCS_CACHE", small.path()).output().expect("scs can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("No space left"), "{said}{}", scs.last_words());
    assert_eq!(output.status.code(), Some(0), "the image is there all the same: {said}");
    let left: Vec<_> = std::fs::read_dir(small.path()).expect("it can be read").flatten().map(|it| it.path()).collect();
    assert!(left.iter().all(|it| std::fs::metadata(it).is_ok_and(|it| it.len() == 0)), "{left:?}");
}
