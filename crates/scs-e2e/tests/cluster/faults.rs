//! What breaks, breaks alone: containers run on, what is shown stays true, and everything comes together again.

use super::shop::shop;
use scs_e2e::hosts::{Hosts, LONG};
use scs_e2e::wait_for;
use serde_json::Value;

/// The address that the store is announced at, as the registry has it.
fn store(hosts: &Hosts) -> String {
    let instance = hosts.instance("store", 0).unwrap_or_default();
    instance["report"]["container"]["provides"]["db"]["address"].as_str().unwrap_or_default().to_owned()
}

/// Where web serves, by its host.
fn webs(hosts: &Hosts) -> Vec<String> {
    let address = |it: &Value| it["report"]["container"]["provides"]["http"]["address"].as_str().map(str::to_owned);
    let webs = hosts.instances().into_iter().filter(|it| it["report"]["slot"]["role"] == "web");
    webs.filter_map(|it| address(&it)).collect()
}

/// Waits until every web reads what the store holds.
fn served(hosts: &Hosts, webs: &[String]) {
    for web in webs {
        wait_for(&format!("{web} to serve rows"), LONG, || {
            match hosts.get("desk", &format!("http://{web}/cgi-bin/rows")) {
                Some(rows) if rows.contains("kept") => Ok(()),
                other => Err(format!("{other:?}{}", hosts.last_words())),
            }
        });
    }
}

#[test]
fn agents_and_server_die_hosts_are_cut_off_and_lose_power_and_nothing_is_stopped_that_nobody_asked_for() {
    let project = shop();
    let hosts = Hosts::joined(project.path());
    hosts.give_base();
    let _ = hosts.ok(&["up", "-d"]);
    assert_eq!(hosts.get("desk", &format!("http://{}/cgi-bin/add?kept", store(&hosts))).as_deref(), Some("kept kept"));
    let all = webs(&hosts);
    served(&hosts, &all);
    let before = hosts.all_containers();

    agents_killed(&hosts);
    assert_eq!(hosts.all_containers(), before, "nothing was restarted");
    server_killed(&hosts);
    assert_eq!(hosts.all_containers(), before, "nothing was restarted");
    cut_off(&hosts);
    assert_eq!(hosts.all_containers(), before, "nothing was restarted");
    served(&hosts, &all);
    engine_killed(&hosts);
    power_lost(&hosts);
    let others = |host: &str| hosts.containers(host);
    assert_eq!([others("h1")].concat(), before[..1], "what was not touched was not restarted");
}

/// Agents that are killed find what runs, and nobody is told that anything went.
fn agents_killed(hosts: &Hosts) {
    let told = |index: &str| hosts.ok(&["exec", index, "--", "cat", "/tmp/told"]);
    let before = (told("web.0"), told("web.1"));
    hosts.kill("h3", "agent", "KILL");
    let store = store(hosts);
    assert!(hosts.get("desk", &format!("http://{store}/cgi-bin/rows")).is_some(), "it serves on");
    hosts.wait_until_answers("h3", "no");
    let partial = hosts.run(&["ps"]);
    assert!(partial.code() == 0 && partial.stdout().contains("web.1"), "{}", partial.shown());
    assert_eq!(partial.stderr().matches("host h3").count(), 1, "one warning: {}", partial.shown());
    hosts.start_agent("h3");
    hosts.wait_until_answers("h3", "yes");
    hosts.wait_until_running(&[("store", 0)]);
    hosts.kill("h1", "agent", "KILL");
    hosts.start_agent("h1");
    hosts.wait_until_all_answer();
    hosts.wait_until_running(&[("store", 0), ("web", 0), ("web", 1)]);
    assert_eq!((told("web.0"), told("web.1")), before, "nobody was told of anything");
}

/// A server that is killed comes back to what it knew.
fn server_killed(hosts: &Hosts) {
    hosts.kill("h1", "server", "KILL");
    let away = hosts.run(&["ps"]);
    assert_eq!(away.code(), 69, "{}", away.shown());
    assert!(away.stderr().contains("does not answer"), "{}", away.shown());
    // What dies meanwhile is started again by its host alone.
    hosts.start_server();
    hosts.wait_until_all_answer();
    hosts.wait_until_running(&[("store", 0), ("web", 0), ("web", 1)]);
    let run = hosts.run(&["up", "-d"]);
    assert!(run.code() == 0 && run.stderr().contains("was up already"), "{}", run.shown());
}

/// A host that nobody hears makes answers partial, with one warning, and no more than that.
fn cut_off(hosts: &Hosts) {
    hosts.network().cut("h3").expect("it can be cut");
    hosts.wait_until_answers("h3", "no");
    let partial = hosts.run(&["ps"]);
    assert_eq!(partial.code(), 0, "{}", partial.shown());
    assert!(partial.stdout().contains("web.0") && partial.stdout().contains("web.1"), "{}", partial.shown());
    assert_eq!(partial.stderr().matches("host h3").count(), 1, "one warning: {}", partial.shown());
    let logs = hosts.run(&["logs", "web"]);
    assert!(logs.code() == 0 && logs.stdout().contains("serving web"), "{}", logs.shown());
    let down = hosts.run(&["host", "ls"]);
    assert!(down.stdout().lines().any(|line| line.contains("h3") && !line.contains("ready")), "{}", down.shown());
    hosts.network().heal("h3").expect("it can be healed");
    hosts.wait_until_all_answer();
    hosts.wait_until_running(&[("store", 0), ("web", 0), ("web", 1)]);
    let whole = hosts.run(&["ps"]);
    assert!(!whole.stderr().contains("host h3"), "{}", whole.shown());
}

/// An engine that is killed with everything on it has everything again once it is back.
fn engine_killed(hosts: &Hosts) {
    let host = hosts.host("h2");
    host.kill_engine().expect("it can be killed");
    wait_for("the engine's end to be told", LONG, || {
        let (inspected, listed) = (hosts.run(&["host", "inspect", "h2"]), hosts.run(&["ps"]));
        let told =
            inspected.stdout().contains("the container engine") && inspected.stdout().contains("does not answer");
        if told { Ok(()) } else { Err(format!("{}{}", inspected.shown(), listed.shown())) }
    });
    host.start_engine().and_then(|()| host.wait_for_engine()).expect("it starts again");
    hosts.wait_until_running(&[("web", 1)]);
    served(hosts, &webs(hosts));
}

/// A power failure, and the power back: data is where it was, and users find the store.
fn power_lost(hosts: &Hosts) {
    let host = hosts.host("h3");
    host.power_off().expect("it can be switched off");
    hosts.wait_until_answers("h3", "no");
    host.power_on().and_then(|()| host.wait_for_engine()).expect("it can be switched on");
    hosts.start_agent("h3");
    hosts.wait_until_all_answer();
    hosts.wait_until_running(&[("store", 0), ("web", 0), ("web", 1)]);
    served(hosts, &webs(hosts));
}
