//! Bad input gets a clear error, a non-zero exit, and leaves everything else as it was.

use scs_e2e::docker::docker;
use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use std::time::Duration;

#[test]
fn a_port_that_is_taken_is_named_with_its_role() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it has an address").port();
    let project = Project::store_and_web();
    project.replace(
        "deployment.yaml",
        "    secrets: { TOKEN: token }\n  web:",
        &format!("    secrets: {{ TOKEN: token }}\n    provide: {{ db: {{ publish: {{ port: {port} }} }} }}\n  web:"),
    );
    let scs = Scs::new(project.path());
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains(&port.to_string()) && run.stderr().contains("store"), "{}", run.shown());
    assert!(run.stderr().contains("hint:"), "{}", run.shown());
}

#[test]
fn what_is_mistyped_or_asked_from_elsewhere_changes_nothing() {
    let project = Project::store_and_web();
    project.replace("deployment.yaml", "    require: { db:", "    replicas: 2\n    require: { db:");
    project.write("deployment.prod.yaml", "version: 1\n");
    let scs = Scs::new(project.path());
    let mistyped = scs.run(&["up", "-d", "--env", "prdo"]);
    assert_eq!(mistyped.code(), 64, "{}", mistyped.shown());
    assert!(mistyped.stderr().contains("did you mean `prod`?"), "{}", mistyped.shown());
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(scs.json(&["ps", "--all", "-o", "json"]).as_array().map(Vec::len), Some(3), "all of them of dev");
    for command in ["ps", "down", "logs"] {
        let run = scs.run(&[command, "--env", "dve"]);
        assert!(run.stderr().contains("did you mean `dev`?"), "{}", run.shown());
    }

    let clone = Project::store_and_web();
    let elsewhere = |arguments: &[&str]| {
        let output = scs.command(arguments).current_dir(clone.path()).output().expect("scs can be started");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for refused in [&["down"][..], &["restart", "web"], &["stop", "web"], &["start", "web"], &["rollback"]] {
        let (code, said) = elsewhere(refused);
        assert!(code == Some(1) && said.contains("dev/shop belongs to"), "{refused:?}: {code:?} {said}");
    }
    // What ps prints of an instance can be typed.
    let listed = scs.ok(&["ps"]);
    assert!(listed.contains("web.1 ") && listed.contains("web.0 ") && listed.contains("store "), "{listed}");
    let before = scs.container("store");
    assert!(scs.ok(&["explain", "web.1.db"]).starts_with("dev/shop/web.1.db"));
    let role = scs.ok(&["exec", "web.1", "sh", "-c", "echo $SCS_ROLE"]);
    assert_eq!(role.trim(), "web");
    assert_eq!(elsewhere(&["stop", "shop/web.1"]).0, Some(0), "a service that is named is meant");
    let instances = scs.json(&["ps", "-o", "json"]);
    let phase = |index: usize| instances[index]["report"]["phase"].as_str().unwrap_or_default().to_owned();
    assert_eq!([phase(1), phase(2)], ["running", "stopped"]);
    let since = instances[0]["report"]["since"].as_str().unwrap_or_default();
    assert!(since.ends_with('Z') && since.contains('T'), "RFC 3339, not {since}");
    assert_eq!(scs.container("store"), before, "nothing else was changed");
    assert_eq!(elsewhere(&["down", "--take-over"]).0, Some(0));
}

#[test]
fn a_failing_build_shows_its_step_and_last_lines_and_leaves_the_rest_running() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let store = scs.container("store");
    project.write("images/store/configure.sh", "#!/bin/sh\necho before the fall\necho the reason >&2\nexit 9\n");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    for words in ["store", "configure.sh", "the reason"] {
        assert!(run.stderr().contains(words), "says `{words}`: {}", run.shown());
    }
    assert_eq!(scs.container("store"), store, "the old container runs on");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &store]), "true");
}

#[test]
fn a_health_check_that_never_passes_is_reported_and_the_old_container_kept_where_it_can_be() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let web = scs.container("web");
    project.replace(
        "images/web/image.yaml",
        "health: { http: /, interval: 200ms }",
        "health: { command: ['false'], interval: 200ms, start: 2s }",
    );
    project.replace("images/web/image.yaml", "'80'", "'80', --body, other");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("web") && run.stderr().contains("health"), "{}", run.shown());
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &web]), "true", "the healthy one still serves");
}

#[test]
fn a_live_update_that_fails_is_tried_again_and_shown() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let web = scs.container("web");
    let _ = docker(&["exec", &web, "touch", "/fail"]);
    let _ = docker(&["kill", &scs.container("store")]);
    wait_for("a failed live update in the report", Duration::from_secs(30), || {
        let slot = scs.slot("web").expect("web runs");
        if slot["live_updates"]["db"]["exit_code"] == 3 { Ok(()) } else { Err(format!("{slot:#}")) }
    });
    let _ = docker(&["exec", &web, "rm", "/fail"]);
    wait_for("the next try to succeed", Duration::from_secs(60), || {
        let slot = scs.slot("web").expect("web runs");
        if slot["live_updates"]["db"]["exit_code"] == 0 { Ok(()) } else { Err(format!("{slot:#}")) }
    });
    assert_eq!(scs.container("web"), web);
}

#[test]
fn a_volume_that_should_be_there_and_is_not_is_an_error_and_never_a_fresh_one() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let listed = scs.json(&["volume", "ls", "-o", "json"]);
    let place = listed[0]["place"].as_str().expect("a local volume has a place").to_owned();
    let _ = scs.ok(&["down"]);
    let volume = std::path::Path::new(&place);
    let root = if volume.ends_with("data") && volume.parent().is_some_and(|parent| parent.ends_with("data")) {
        volume.parent().expect("checked")
    } else {
        volume
    };
    let aside = root.with_extension("aside");
    std::fs::rename(root, &aside).expect("the volume can be moved aside");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("shop/store/data") && run.stderr().contains("not there"), "{}", run.shown());
    assert!(!root.exists(), "nothing was made in its place");
    std::fs::rename(&aside, root).expect("it can be moved back");
    let _ = scs.ok(&["up", "-d"]);
}

#[test]
fn a_role_nobody_provides_is_an_error_before_anything_starts() {
    let project = Project::store_and_web();
    project.replace("deployment.yaml", "db: { wait: 30s }", "db: { match: { role: stroe } }");
    let scs = Scs::new(project.path());
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 65, "{}", run.shown());
    assert!(
        run.stderr().contains("stroe") && run.stderr().contains("store") && run.stderr().contains("deployment.yaml:"),
        "{}",
        run.shown()
    );
}

#[test]
fn no_engine_is_exit_69_with_a_hint() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let output =
        scs.command(&["up", "-d"]).env("DOCKER_HOST", "unix:///nowhere.sock").output().expect("scs can be started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains("hint:") && error.contains("/nowhere.sock"), "{error}");
}
