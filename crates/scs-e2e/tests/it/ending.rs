//! Containers that end, by themselves or for want of what they need, and what people are told of it.

use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::process::Child;
use std::time::Duration;

/// `scs dev` in the foreground, for commands that need a discovery server and no deployment.
struct Dev(Child);

impl Dev {
    fn of(scs: &Scs) -> Self {
        let dev = Self(scs.spawn(&["dev"]));
        wait_for("scs dev to answer", Duration::from_secs(20), || {
            let version = scs.json(&["version", "-o", "json"]);
            if version["server"].is_object() { Ok(()) } else { Err(format!("{version:#}")) }
        });
        dev
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_container_that_keeps_ending_fails_up_with_its_exit_code_and_its_last_lines() {
    let project = Project::job("[sh, -c, 'echo one; echo the reason >&2; exit 3']", "");
    let scs = Scs::new(project.path());
    for _ in 0..2 {
        let run = scs.run(&["up", "-d"]);
        assert_eq!(run.code(), 1, "{}", run.shown());
        for words in ["job", "exit code 3", "the reason", "hint:"] {
            assert!(run.stderr().contains(words), "says `{words}`: {}", run.shown());
        }
    }
}

#[test]
fn a_run_gives_up_waiting_for_a_requirement_and_names_it() {
    let project = Project::store_and_web();
    project.replace("deployment.yaml", "db: { wait: 30s }", "db: { wait: 1s }");
    let scs = Scs::new(project.path());
    let _dev = Dev::of(&scs);
    // The secret of the deployment is generated; the image is built first, and is not waited for by that clock.
    let run = scs.run(&["run", "web"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("web is still waiting for db (dev/shop/store/db) after 1s"), "{}", run.shown());
    assert!(run.stderr().contains("hint:"), "{}", run.shown());
}
