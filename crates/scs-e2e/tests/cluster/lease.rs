//! `fence: lease` on storage that two hosts share: the role goes on elsewhere when its host is lost, and never do two of it write.

use scs_e2e::hosts::{Hosts, LONG};
use scs_e2e::project::Project;
use scs_e2e::wait_for;
use std::collections::BTreeSet;
use std::path::Path;

/// A ledger that writes down ten times a second, as long as it runs, who it is.
const CONFIGURE: &str = "\
#!/bin/sh
set -e
cat > /bin/ledger <<'END'
#!/bin/sh
while :; do
  echo \"$(cut -d' ' -f1 /proc/uptime) $SCS_RUN_ID\" >> /ledger/rows
  sleep 0.1
done
END
chmod 755 /bin/ledger
";

const IMAGE: &str = "\
version: 1
about: { title: Ledger }
engine:
  docker:
    from: scs-test-base:1
    command: [/bin/ledger]
config: { method: shell }
volume:
  ledger: { path: /ledger }
";

const OVERLAY: &str = "\
version: 1
containers:
  ledger:
    place: { match: { storage: shared } }
    on_host_loss: elsewhere
    fence: lease
";

fn project(shared: &Path) -> Project {
    let project = Project::empty();
    let volume = format!("volume: {{ ledger: {{ method: bind, from: {} }} }}", shared.display());
    project.write(
        "deployment.yaml",
        &format!(
            "version: 1\nservice: books\ncontainers:\n  ledger:\n    image: {{ source: {{ path: image }} }}\n    \
             {volume}\n    stop_grace_period: 1s\n"
        ),
    );
    project.write("deployment.prod.yaml", OVERLAY);
    project.write("image/image.yaml", IMAGE);
    project.write("image/configure.sh", CONFIGURE);
    project
}

/// The ledger as rows: seconds since boot, and which run wrote it.
fn rows(shared: &Path) -> Vec<(f64, String)> {
    let text = std::fs::read_to_string(shared.join("rows")).unwrap_or_default();
    let row = |line: &str| {
        let (at, who) = line.split_once(' ')?;
        Some((at.parse().ok()?, who.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// Waits until the ledger is written on this host, and gives the run that does. A lost host is shown as it was heard of last.
fn written_on(hosts: &Hosts, shared: &Path, expected: &str) -> String {
    let mut run = String::new();
    wait_for(&format!("the ledger to run on {expected}"), LONG, || {
        let all = hosts.instances();
        let there = all.iter().find(|it| it["host"] == expected && it["report"]["phase"] == "running");
        let Some(there) = there else { return Err(format!("{all:#?}{}", hosts.last_words())) };
        run = there["report"]["container"]["instance"].as_str().unwrap_or_default().to_owned();
        Ok(())
    });
    wait_for("it to write", LONG, || match rows(shared).last() {
        Some((_, who)) if *who == run => Ok(()),
        last => Err(format!("{last:?}, expected {run}{}", hosts.last_words())),
    });
    run
}

/// The ledger went on in a later run, the earlier one had ended well before, and never did two write in turns.
fn passed_on(shared: &Path, before: &str, after: &str) {
    let rows = rows(shared);
    let last = rows.iter().filter(|(_, who)| who == before).map(|(at, _)| *at).fold(0.0, f64::max);
    let first = rows.iter().find(|(_, who)| who == after).map(|(at, _)| *at).expect("it has written");
    assert!(first > last + 1.0, "{before} wrote until {last}, {after} from {first} on");
    let mut runs: Vec<&str> = rows.iter().map(|(_, who)| who.as_str()).collect();
    runs.dedup();
    let all: BTreeSet<&str> = runs.iter().copied().collect();
    assert_eq!(all.len(), runs.len(), "two wrote at once: {runs:?}");
}

/// Every process of the ledger has ended on a host, and its watchdog says that it did that.
fn ended(hosts: &Hosts, host: &str) {
    let said = hosts.said(host, "agent");
    assert!(said.contains("scs watchdog: the lease of prod/books/ledger has ended: killed container"), "{said}");
    let runs = hosts.command(host, "pgrep", &["-f", "^/bin/sh /bin/ledger"]).output().expect("pgrep is there");
    assert!(!runs.status.success(), "{}", String::from_utf8_lossy(&runs.stdout));
}

#[test]
fn what_runs_by_lease_goes_on_elsewhere_and_never_do_two_of_it_write() {
    let shared = tempfile::tempdir().expect("a directory");
    let project = project(shared.path());
    let hosts = Hosts::joined(project.path());
    hosts.give_base();
    for host in ["h2", "h3"] {
        let _ = hosts.ok(&["host", "label", host, "storage=shared"]);
    }
    let _ = hosts.ok(&["host", "drain", "h3"]);
    let _ = hosts.ok(&["up", "-d"]);
    let _ = hosts.ok(&["host", "undrain", "h3"]);
    let first = written_on(&hosts, shared.path(), "h2");

    // An agent that is started anew within the lease changes nothing.
    hosts.kill("h2", "agent", "KILL");
    hosts.start_agent("h2");
    hosts.wait_until_answers("h2", "yes");
    assert_eq!(written_on(&hosts, shared.path(), "h2"), first);

    hosts.network().cut("h2").expect("it can be cut");
    let second = written_on(&hosts, shared.path(), "h3");
    passed_on(shared.path(), &first, &second);
    ended(&hosts, "h2");
    hosts.network().heal("h2").expect("it can be healed");
    hosts.wait_until_all_answer();
    comes_to_rest(&hosts, "h2");
    assert_eq!(written_on(&hosts, shared.path(), "h3"), second, "it stays where it is");

    // Nobody of ours is left on the host but the watchdog.
    hosts.kill("h3", "agent", "KILL");
    hosts.network().cut("h3").expect("it can be cut");
    let third = written_on(&hosts, shared.path(), "h2");
    passed_on(shared.path(), &second, &third);
    ended(&hosts, "h3");
    hosts.network().heal("h3").expect("it can be healed");
    hosts.start_agent("h3");
    hosts.wait_until_all_answer();
    comes_to_rest(&hosts, "h3");
    assert_eq!(written_on(&hosts, shared.path(), "h2"), third, "it stays where it is");

    // An engine that does not answer cannot be asked to kill anything.
    let _ = hosts.on("h2", "pkill", &["-STOP", "-x", "dockerd"]);
    hosts.network().cut("h2").expect("it can be cut");
    let fourth = written_on(&hosts, shared.path(), "h3");
    passed_on(shared.path(), &third, &fourth);
    ended(&hosts, "h2");
    let _ = hosts.on("h2", "pkill", &["-CONT", "-x", "dockerd"]);
    hosts.network().heal("h2").expect("it can be healed");
    hosts.wait_until_all_answer();
    comes_to_rest(&hosts, "h2");
    assert_eq!(written_on(&hosts, shared.path(), "h3"), fourth, "it stays where it is");
    passed_on(shared.path(), &third, &fourth);

    // Taken down, it ends as anything does, and not by the watchdog.
    let killed = |host: &str| hosts.said(host, "agent").matches("scs watchdog: the lease of").count();
    let before = killed("h3");
    let _ = hosts.ok(&["down"]);
    assert_eq!(killed("h3"), before);
}

/// Waits until a host that is back runs nothing any more.
fn comes_to_rest(hosts: &Hosts, host: &str) {
    wait_for(&format!("{host} to run nothing"), LONG, || match hosts.containers(host) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}{}", hosts.last_words())),
    });
    wait_for("one to be shown", LONG, || match hosts.instances() {
        all if all.len() == 1 => Ok(()),
        all => Err(format!("{all:#?}{}", hosts.last_words())),
    });
}
