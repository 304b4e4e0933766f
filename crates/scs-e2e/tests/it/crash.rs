//! What stays when something dies.

use scs_e2e::docker::{docker, started_at};
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::time::Duration;

#[test]
fn killing_scs_leaves_containers_running_and_the_next_start_adopts_them() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let (store, web) = (scs.container("store"), scs.container("web"));
    let started = (started_at(&store), started_at(&web));
    let told = || docker(&["exec", &web, "sh", "-c", "cat /told.log 2>/dev/null | wc -l"]);
    let before = told();

    scs.kill_daemon();
    assert_eq!((started_at(&store), started_at(&web)), started, "containers run on without scs");

    let _ = scs.ok(&["up", "-d"]);
    wait_for("both to be adopted", Duration::from_secs(20), || {
        let (one, two) = (scs.slot("store"), scs.slot("web"));
        let running = |slot: &Option<serde_json::Value>| slot.as_ref().is_some_and(|slot| slot["phase"] == "running");
        if running(&one) && running(&two) { Ok(()) } else { Err(format!("{one:#?}\n{two:#?}")) }
    });
    assert_eq!((scs.container("store"), scs.container("web")), (store.clone(), web.clone()));
    assert_eq!((started_at(&store), started_at(&web)), started, "and were not restarted");
    assert_eq!(told(), before, "nor was web told of a drop that never was");
}

#[test]
fn a_provider_killed_while_scs_is_dead_is_started_again_by_the_next_start() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let web = scs.container("web");
    let store = scs.container("store");
    scs.kill_daemon();
    let _ = docker(&["kill", &store]);
    let _ = scs.ok(&["up", "-d"]);
    let slot = scs.wait_for_phase("store", "running");
    let address = slot["container"]["provides"]["db"]["address"].as_str().expect("an address").to_owned();
    wait_for("web to be told", Duration::from_secs(20), || {
        let log = docker(&["exec", &web, "sh", "-c", "cat /told.log /run/scs/env 2>/dev/null || true"]);
        if log.contains(&format!("db {address}")) { Ok(()) } else { Err(log) }
    });
    assert_eq!(scs.container("web"), web);
}
