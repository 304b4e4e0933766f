//! Services find each other and are told of every change.

use scs_e2e::docker::{docker, started_at};
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::time::Duration;

#[test]
fn a_killed_provider_comes_back_elsewhere_and_its_user_is_told_in_its_running_container() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let web = scs.container("web");
    let started = started_at(&web);
    let before = scs.slot("store").expect("the store runs");
    let address = before["container"]["provides"]["db"]["address"].clone();

    let _ = docker(&["kill", &scs.container("store")]);
    let after = wait_for("the store on another address", Duration::from_secs(30), || {
        let slot = scs.slot("store").expect("the slot stays");
        let now = &slot["container"]["provides"]["db"];
        if slot["phase"] == "running" && now["published"] == true && now["address"] != address {
            Ok(slot)
        } else {
            Err(format!("{slot:#}"))
        }
    });
    let now = after["container"]["provides"]["db"]["address"].as_str().expect("an address").to_owned();
    wait_for("web to be told of it", Duration::from_secs(15), || {
        let log = docker(&["exec", &web, "sh", "-c", "cat /told.log 2>/dev/null || true"]);
        if log.lines().last().is_some_and(|line| line.starts_with(&format!("db {now} "))) { Ok(()) } else { Err(log) }
    });
    assert_eq!(scs.container("web"), web, "web is the same container");
    assert_eq!(started_at(&web), started, "and was never restarted");

    let explained = scs.ok(&["explain", "web.db"]);
    assert!(explained.contains(&now), "explain names the address that was pushed:\n{explained}");
}

#[test]
fn two_environments_side_by_side_never_see_each_other() {
    let project = Project::store_and_web();
    let mut scs = Scs::new(project.path());
    scs.also("staging");
    let _ = scs.ok(&["up", "-d"]);
    let _ = scs.ok(&["up", "-d", "--env", "staging", "--create-env"]);
    let address = |environment| {
        let slot = scs.slot_in(environment, "store").expect("the store runs");
        slot["container"]["provides"]["db"]["address"].as_str().expect("an address").to_owned()
    };
    let of_web = |environment| {
        let slot = scs.slot_in(environment, "web").expect("web runs");
        let id = slot["container"]["id"].as_str().expect("a container").to_owned();
        docker(&["exec", &id, "cat", "/run/scs/env"])
    };
    let (dev, staging) = (address("dev"), address("staging"));
    assert_ne!(dev, staging);
    assert!(of_web("dev").contains(&dev) && !of_web("dev").contains(&staging));
    assert!(of_web("staging").contains(&staging) && !of_web("staging").contains(&dev));

    let _ = scs.ok(&["down", "--env", "staging"]);
    assert!(scs.slot_in("staging", "web").is_none());
    assert_eq!(scs.slot("web").expect("dev runs on")["phase"], "running");
}

#[test]
fn a_rotated_secret_is_applied_live_and_shows_nowhere() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let (web, store) = (scs.container("web"), scs.container("store"));
    let started = (started_at(&web), started_at(&store));
    let secret = || docker(&["exec", &web, "cat", "/run/secrets/TOKEN"]);
    let first = secret();
    assert_eq!(first.len(), 24);

    let _ = scs.ok(&["secret", "rotate", "token"]);
    let second = wait_for("the new secret", Duration::from_secs(15), || {
        if secret() == first { Err(first.clone()) } else { Ok(secret()) }
    });
    wait_for("the live update", Duration::from_secs(15), || {
        let lines = docker(&["exec", &web, "sh", "-c", "cat /told.log 2>/dev/null || true"]);
        if lines.lines().any(|line| line.starts_with("token ") && line.ends_with(&second)) {
            Ok(())
        } else {
            Err(lines)
        }
    });
    assert_eq!((started_at(&web), started_at(&store)), started, "nothing was restarted");

    for place in [
        scs.ok(&["ps", "-o", "json"]),
        scs.ok(&["compile"]),
        scs.ok(&["config"]),
        scs.ok(&["secret", "ls"]),
        scs.ok(&["history"]),
        scs.ok(&["logs"]),
        docker(&["inspect", &web, &store]),
        scs.last_words(),
    ] {
        assert!(!place.contains(&first) && !place.contains(&second), "a secret shows in:\n{place}");
    }
}

#[test]
fn logs_hold_what_containers_print_across_a_replaced_one() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let before = scs.ok(&["logs", "store"]);
    assert!(before.lines().all(|line| line.contains("store")), "each line names its role:\n{before}");
    let _ = scs.ok(&["restart", "store"]);
    let after = scs.ok(&["logs", "store"]);
    assert!(
        after.lines().count() >= before.lines().count(),
        "lines of the last container stay:\n{before}\n---\n{after}"
    );
}

#[test]
fn exec_runs_in_the_container_and_passes_its_exit_code_on() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), "hello");
    let run = scs.run(&["exec", "store", "--", "sh", "-c", "echo lost >&2; exit 7"]);
    assert_eq!(run.code(), 7, "{}", run.shown());
    assert!(run.stderr().contains("lost"), "{}", run.shown());
}
