//! scs killed at any moment of `up`: the next `up` finishes, and nothing is doubled or left over.

use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How many moments are tried: from none of `up` done to all of it.
const ROUNDS: u32 = 10;

fn owned(scs: &Scs) -> Vec<String> {
    let owner = std::fs::read_to_string(scs.state().join("owner")).unwrap_or_default();
    let filter = format!("label=scs.owner={}", owner.trim());
    let listed =
        docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Label \"scs.role\"}} {{.State}} {{.Names}}"]);
    listed.lines().map(str::to_owned).collect()
}

/// What builds and starts of these images could leave.
fn leftovers(digests: &BTreeSet<String>) -> Vec<String> {
    let all = docker(&["ps", "--all", "--format", "{{.Names}}"]);
    let of_ours = |name: &&str| {
        (name.starts_with("scs-build-") || name.starts_with("scs-own-"))
            && digests.iter().any(|digest| name.contains(&digest[..16]))
    };
    all.lines().filter(of_ours).map(str::to_owned).collect()
}

#[test]
fn killed_at_any_moment_of_up_the_next_one_finishes_and_nothing_is_doubled() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let started = Instant::now();
    let _ = scs.ok(&["up", "-d"]);
    let whole = started.elapsed();
    let mut digests = BTreeSet::new();
    for round in 0..ROUNDS {
        // Another image of both roles, so that building, creating and starting are all done anew.
        project.write(
            "images/store/configure.sh",
            &format!("#!/bin/sh\nset -e\necho {round} > /round\n: $$ {:?}\nmkdir -p /data\n", project.path()),
        );
        let compiled = scs.json(&["compile"]);
        digests.extend(compiled["roles"]["store"]["image_digest"].as_str().map(str::to_owned));
        let mut up =
            scs.command(&["up", "-d"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("scs starts");
        let moment = Instant::now() + whole * round / (ROUNDS - 1);
        wait_for("the moment to kill it", whole * 2 + Duration::from_secs(10), || {
            let ended = up.try_wait().expect("it can be asked").is_some();
            if ended || Instant::now() >= moment { Ok(()) } else { Err(format!("{:?} to go", moment - Instant::now())) }
        });
        scs.kill_daemon();
        let _ = up.kill();
        let _ = up.wait();

        let _ = scs.ok(&["up", "-d"]);
        let store = scs.container("store");
        assert_eq!(docker(&["exec", &store, "cat", "/round"]), round.to_string(), "round {round}");
        wait_for(
            &format!("one container a role and no leftovers after round {round}"),
            Duration::from_secs(30),
            || {
                let (owned, left) = (owned(&scs), leftovers(&digests));
                let roles: Vec<&str> =
                    owned.iter().filter(|it| it.contains(" running ")).filter_map(|it| it.split(' ').next()).collect();
                let mut sorted = roles.clone();
                sorted.sort_unstable();
                if sorted == ["store", "web"] && left.is_empty() { Ok(()) } else { Err(format!("{owned:#?} {left:?}")) }
            },
        );
    }
    // The last ended container of a role stays for its logs, and no more than that.
    let ended = owned(&scs).into_iter().filter(|it| !it.contains(" running ")).count();
    assert!(ended <= 2, "{:#?}", owned(&scs));
    for digest in &digests {
        let _ = docker(&["rmi", "--force", &format!("scs-image:{}", &digest[..16])]);
    }
}
