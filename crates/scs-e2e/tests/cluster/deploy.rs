//! One deployment over three hosts: placed, wired, looked at from the desk, and left alone by whoever may not touch it.

use super::shop::shop;
use scs_e2e::hosts::{HOSTS, Hosts, LONG};
use scs_e2e::project::Project;
use scs_e2e::wait_for;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

#[test]
fn a_service_over_three_hosts_is_placed_wired_and_served_from_the_desk() {
    let project = shop();
    let hosts = Hosts::joined(project.path());
    hosts.give_base();

    // What makes no sense is refused before anything is built.
    let overlay = std::fs::read_to_string(project.path().join("deployment.prod.yaml")).expect("it is there");
    project.replace("deployment.prod.yaml", "host: h3", "host: h9");
    hosts.refused(&["up", "-d"], 64, &["role store can run nowhere", "h9, which is not there", "h1, h2, h3"]);
    project.write("deployment.prod.yaml", &overlay.replace("dc: east", "dc: north"));
    hosts.refused(&["up", "-d"], 64, &["role web can run nowhere", "no host has the labels"]);
    project.write("deployment.prod.yaml", &overlay.replace("store:", "stroe:"));
    hosts.refused(&["up", "-d"], 65, &["stroe", "store"]);
    project.write("deployment.prod.yaml", &overlay);
    assert!(hosts.all_containers().is_empty());

    let planned = hosts.ok(&["plan"]);
    assert!(planned.contains("create on h3") && planned.contains("across 3 hosts"), "{planned}");
    let _ = hosts.ok(&["up", "-d"]);
    let place = |role: &str, index| {
        let instance = hosts.instance(role, index).expect("it is there");
        instance["host"].as_str().expect("it is on a host").to_owned()
    };
    assert_eq!([place("store", 0), place("web", 0), place("web", 1)], ["h3", "h1", "h2"]);
    built_once(&hosts);
    wired(&hosts);
    looked_at(&hosts);

    let before = hosts.all_containers();
    let again = hosts.run(&["up", "-d"]);
    assert!(again.code() == 0 && again.stderr().contains("was up already"), "{}", again.shown());
    assert_eq!(hosts.all_containers(), before, "nothing was restarted");
    spread(&hosts, &project, &overlay);
    kept_out(&hosts, &project);
    disturbed(&hosts, &project);
}

/// The image that two hosts run was built on one of them.
fn built_once(hosts: &Hosts) {
    let image =
        |host| hosts.on(host, "docker", &["ps", "--no-trunc", "--filter", "label=scs.role=web", "--format", "{{.ID}}"]);
    let id = |host| hosts.on(host, "docker", &["inspect", "--format", "{{.Image}}", &image(host)]);
    assert_eq!(id("h1"), id("h2"), "both run the same image");
}

/// Users on two hosts reach the store on a third, and are told where it went, without a restart.
fn wired(hosts: &Hosts) {
    let store = || {
        let instance = hosts.instance("store", 0).expect("it is there");
        instance["report"]["container"]["provides"]["db"]["address"].as_str().unwrap_or_default().to_owned()
    };
    let before = store();
    assert!(before.starts_with("198.51.100.73:"), "it is announced under its host's address: {before}");
    assert_eq!(hosts.get("desk", &format!("http://{before}/cgi-bin/add?first")).as_deref(), Some("kept first"));
    let webs = || {
        [0, 1].map(|index| {
            let instance = hosts.instance("web", index).expect("it is there");
            let container = &instance["report"]["container"];
            let address = container["provides"]["http"]["address"].as_str().unwrap_or_default().to_owned();
            (container["id"].as_str().unwrap_or_default().to_owned(), address)
        })
    };
    let all = webs();
    for (_, web) in &all {
        assert_eq!(hosts.get("desk", &format!("http://{web}/cgi-bin/rows")).as_deref(), Some("first"), "by {web}");
    }
    let container = hosts.instance("store", 0).expect("it is there")["report"]["container"]["id"].clone();
    let _ = hosts.on("h3", "docker", &["kill", container.as_str().expect("it has a container")]);
    for (_, web) in &all {
        wait_for("the web to read from where the store is now", LONG, || {
            let served = hosts.get("desk", &format!("http://{web}/cgi-bin/rows"));
            if served.as_deref() == Some("first") && store() != before {
                return Ok(());
            }
            Err(format!("{served:?}, the store at {}{}", store(), hosts.last_words()))
        });
    }
    hosts.wait_until_running(&[("store", 0)]);
    assert_eq!(webs(), all, "nobody was restarted for it");
    let explained = hosts.ok(&["explain", "web.1.db"]);
    assert!(explained.contains(&store()), "{explained}");
}

/// What people do from the desk.
fn looked_at(hosts: &Hosts) {
    let listed = hosts.ok(&["ps"]);
    for (role, host) in [("store", "h3"), ("web.0", "h1"), ("web.1", "h2")] {
        let line = listed.lines().find(|line| line.starts_with(role)).unwrap_or_else(|| panic!("{role}: {listed}"));
        assert!(line.contains(host) && line.contains("running"), "{line}");
    }
    let run_id = ["sh", "-c", "echo $SCS_RUN_ID"];
    let there = hosts.on("h2", "docker", &["ps", "--quiet", "--filter", "label=scs.role=web"]);
    let there = hosts.on("h2", "docker", &[&["exec", &there], &run_id[..]].concat());
    assert_eq!(hosts.ok(&[&["exec", "web.1", "--"], &run_id[..]].concat()).trim(), there, "it ran on h2");
    let failed = hosts.run(&["exec", "store", "--", "sh", "-c", "exit 7"]);
    assert_eq!(failed.code(), 7, "{}", failed.shown());

    let mut following = hosts.desk(&["logs", "--follow"]).stdout(Stdio::piped()).spawn().expect("scs starts");
    let lines = BufReader::new(following.stdout.take().expect("it is piped")).lines();
    let mut missing = vec!["web.0 ", "web.1 "];
    for line in lines.map_while(Result::ok) {
        missing.retain(|role| !(line.starts_with(role) && line.contains("serving web")));
        if missing.is_empty() {
            break;
        }
    }
    let _ = following.kill();
    let _ = following.wait();
    assert!(missing.is_empty(), "nothing of {missing:?}");
}

/// Instances are spread over data centres.
fn spread(hosts: &Hosts, project: &Project, overlay: &str) {
    project.write("deployment.prod.yaml", &overlay.replace("match: { dc: east }", "spread: dc"));
    let _ = hosts.ok(&["up", "-d"]);
    let mut centers = [0, 1].map(|index| {
        let instance = hosts.instance("web", index).expect("it is there");
        HOSTS.iter().find(|(host, _)| instance["host"] == *host).map_or("", |(_, center)| *center)
    });
    centers.sort_unstable();
    // Both may stay where they are: an instance moves only where its place does not allow that any more.
    assert_eq!(centers, ["east", "east"]);
    let _ = hosts.ok(&["down"]);
    let _ = hosts.ok(&["up", "-d"]);
    let mut centers = [0, 1].map(|index| {
        let instance = hosts.instance("web", index).expect("it is there");
        HOSTS.iter().find(|(host, _)| instance["host"] == *host).map_or("", |(_, center)| *center)
    });
    centers.sort_unstable();
    assert_eq!(centers, ["east", "west"]);
    project.write("deployment.prod.yaml", overlay);
    let _ = hosts.ok(&["up", "-d"]);
    // One that has moved is stopped where it was once nobody uses it any more.
    wait_for("the old one to be gone", LONG, || {
        let all = hosts.all_containers();
        if all.len() == 3 { Ok(()) } else { Err(format!("{all:?}")) }
    });
}

/// Rights, and contexts.
fn kept_out(hosts: &Hosts, project: &Project) {
    let before = hosts.all_containers();
    hosts.context("looking", "eve", "read", "prod", "prod");
    let reader = ["--context", "looking"];
    let with = |arguments: &[&'static str]| [&reader[..], arguments].concat();
    assert!(hosts.ok(&with(&["ps"])).contains("store"));
    let overlay = std::fs::read_to_string(project.path().join("deployment.prod.yaml")).expect("it is there");
    project.write("deployment.prod.yaml", &overlay.replace("replicas: 2", "replicas: 1"));
    hosts.refused(&with(&["up", "-d"]), 1, &["eve", "read", "nothing was changed"]);
    hosts.refused(&with(&["down"]), 1, &["eve", "read"]);
    hosts.refused(&with(&["exec", "store", "--", "true"]), 1, &["eve", "read"]);
    hosts.refused(&with(&["host", "token"]), 1, &["eve", "an administrator"]);
    project.write("deployment.prod.yaml", &overlay);
    project.write("deployment.staging.yaml", "version: 1\n");
    hosts.refused(&["up", "-d", "--env", "staging"], 64, &["context prod is for prod", "nothing was changed"]);
    // A context is the desk's own matter; what somebody may do is the server's.
    hosts.context("staging", "bob", "deploy", "prod", "staging");
    hosts.refused(&["--context", "staging", "up", "-d"], 1, &["bob", "in environment staging", "nothing was changed"]);
    assert_eq!(hosts.all_containers(), before);
    let audit = hosts.owner_ok(&["audit"]);
    assert!(audit.contains("ada"), "{audit}");
}

/// Two at a time, and plans that others have overtaken.
fn disturbed(hosts: &Hosts, project: &Project) {
    let compiled = hosts.json(&["compile"]);
    let before = hosts.all_containers();
    project.replace("images/web/configure.sh", "set -e", "set -e\nsleep 4");
    let mut first = hosts.desk(&["up", "-d"]).stderr(Stdio::piped()).spawn().expect("scs starts");
    let lines = BufReader::new(first.stderr.take().expect("it is piped")).lines();
    let building = lines.map_while(Result::ok).find(|line| line.contains("building the image of web"));
    assert!(building.is_some(), "it builds: {}", hosts.last_words());
    hosts.refused(&["up", "-d"], 75, &["is being changed by", "ada", "nothing was changed"]);
    assert!(first.wait().expect("it ends").success(), "{}", hosts.last_words());
    assert_ne!(hosts.all_containers(), before);

    // What was planned before that is refused.
    let request = serde_json::json!({
        "deployment": compiled, "origin": project.path(), "base_revision": 1, "secrets": {}, "take_over": false, "who": "ada",
    });
    let request = project.write("request.json", &request.to_string());
    let now = hosts.all_containers();
    let body = format!("@{}", request.display());
    let url = "http://server/v1/services/prod/shop/up";
    let json = "Content-Type: application/json";
    let socket = "/var/lib/scs/server/scs.sock";
    let answer = hosts.on("h1", "curl", &["--silent", "--unix-socket", socket, "--header", json, "--data", &body, url]);
    assert!(answer.contains("stale_plan") && answer.contains("the plan was made against 1"), "{answer}");
    assert_eq!(hosts.all_containers(), now);
}
