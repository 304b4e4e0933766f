//! The engine as a person at a shell sees it, through the `docker` command.

use std::path::Path;
use std::process::Command;

/// Runs `docker` and gives what it prints; panics with its words where it fails.
#[must_use]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .expect("the docker command is installed (cargo xtask test sees to it)");
    assert!(output.status.success(), "docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// When a container was started, as the engine prints it.
#[must_use]
pub fn started_at(container: &str) -> String {
    docker(&["inspect", "--format", "{{.State.StartedAt}} {{.State.Pid}}", container])
}

/// Ids of the images that carry this image digest.
#[must_use]
pub fn images_of(digest: &str) -> Vec<String> {
    let filter = format!("label=scs.image-digest={digest}");
    docker(&["images", "--quiet", "--no-trunc", "--filter", &filter]).lines().map(str::to_owned).collect()
}

/// Removes the engine's volumes that an installation made.
pub fn remove_volumes_of(state: &Path) {
    let Ok(owner) = std::fs::read_to_string(state.join("owner")) else { return };
    let filter = format!("label=scs.owner={}", owner.trim());
    let listed = Command::new("docker").args(["volume", "ls", "--quiet", "--filter", &filter]).output();
    for name in listed
        .iter()
        .flat_map(|listed| String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let _ = Command::new("docker").args(["volume", "rm", "--force", &name]).output();
    }
}

/// Removes all containers whose mounts lie below an installation's state directory.
pub fn remove_all_of(state: &Path) {
    let listed = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", "label=scs.owner"]).output();
    let Ok(listed) = listed else { return };
    for id in String::from_utf8_lossy(&listed.stdout).lines() {
        let mounts =
            Command::new("docker").args(["inspect", "--format", "{{range .Mounts}}{{.Source}} {{end}}", id]).output();
        let ours =
            mounts.is_ok_and(|mounts| String::from_utf8_lossy(&mounts.stdout).contains(&*state.to_string_lossy()));
        if ours {
            let _ = Command::new("docker").args(["rm", "--force", "--volumes", id]).output();
        }
    }
}
