//! An engine that goes away, comes back, or does not answer: the truth meanwhile, and everything as it was wanted afterwards.

use scs_e2e::project::Project;
use scs_e2e::{Scs, wait_for};
use scs_testkit::OwnEngine;
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// Longer than an engine needs for anything on a busy machine.
const LONG: Duration = Duration::from_secs(90);

/// Two roles whose image has no file of its own: the engine of the test has no other.
fn project() -> Project {
    let project = Project::empty();
    project.write(
        "deployment.yaml",
        "\
version: 1
service: shop
containers:
  store:
    image: empty:1
    manifest:
      engine: { docker: { command: [/run/scs/bin/scs-helper, serve, --port, '5000'] } }
      provide: { db: { port: 5000, health: { tcp: true, interval: 200ms } } }
      volume: { data: { path: /data } }
  web:
    image: empty:1
    manifest:
      engine: { docker: { command: [/run/scs/bin/scs-helper, serve, --port, '80'] } }
      provide: { http: { port: 80, health: { http: /, interval: 200ms } } }
      require: { db: { liveupdate: none } }
",
    );
    project
}

fn world() -> (OwnEngine, Project) {
    let engine = OwnEngine::start();
    engine.make_empty_image("empty:1");
    (engine, project())
}

fn both_run(scs: &Scs) -> Result<(Value, Value), String> {
    match (scs.slot("store"), scs.slot("web")) {
        (Some(store), Some(web)) if store["phase"] == "running" && web["phase"] == "running" => Ok((store, web)),
        other => Err(format!("{other:#?}{}", scs.last_words())),
    }
}

fn running(engine: &OwnEngine) -> Vec<String> {
    let listed = engine.docker(&["ps", "--format", "{{.Label \"scs.role\"}}", "--filter", "label=scs.role"]);
    let mut roles: Vec<String> = listed.lines().map(str::to_owned).collect();
    roles.sort();
    roles
}

#[test]
fn containers_that_ended_with_their_engine_are_started_again_when_it_is_back() {
    let (mut engine, project) = world();
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let _ = scs.ok(&["up", "-d"]);
    let before = scs.container("web");
    engine.stop();
    wait_for("ps to say that nothing runs", LONG, || {
        let (store, web) = (scs.slot("store"), scs.slot("web"));
        let running = [&store, &web].into_iter().flatten().any(|it| it["phase"] == "running");
        if running { Err(format!("{store:#?}{web:#?}")) } else { Ok(()) }
    });
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 69, "{}", run.shown());
    assert!(run.stderr().contains("does not answer") && run.stderr().contains("hint:"), "{}", run.shown());
    engine.start_again();
    wait_for("both to run again", LONG, || both_run(&scs));
    assert_ne!(scs.container("web"), before);
    assert_eq!(running(&engine), ["store", "web"]);
    let _ = scs.ok(&["up", "-d"]);
}

#[test]
fn an_engine_that_is_killed_and_comes_back_finds_its_service_whole() {
    let (mut engine, project) = world();
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let _ = scs.ok(&["up", "-d"]);
    engine.kill();
    wait_for("ps to warn of what it cannot see", LONG, || {
        let run = scs.run(&["ps"]);
        let warned = run.stderr().contains("what is shown of it is what it saw last");
        if warned && run.stdout().contains("seen last before this") { Ok(()) } else { Err(run.shown()) }
    });
    engine.start_again();
    // Without live-restore the engine ends at its start what it finds running.
    wait_for("both to run", LONG, || {
        both_run(&scs)?;
        let running = running(&engine);
        if running == ["store", "web"] { Ok(()) } else { Err(format!("{running:?}")) }
    });
}

#[test]
fn an_engine_that_goes_away_in_the_middle_of_up_is_an_error_and_the_next_up_finishes() {
    let (mut engine, project) = world();
    // Never healthy, so that `up` is still at it when the engine goes.
    let manifest = std::fs::read_to_string(project.path().join("deployment.yaml")).expect("readable");
    project.write(
        "deployment.yaml",
        &manifest.replace("{ tcp: true, interval: 200ms }", "{ command: ['/no'], interval: 200ms, start: 300s }"),
    );
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let up = scs.command(&["up", "-d"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("scs starts");
    wait_for("the store's container", LONG, || {
        let running = running(&engine);
        if running.is_empty() { Err(scs.last_words()) } else { Ok(()) }
    });
    engine.stop();
    let output = up.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 69)), "{:?}: {said}", output.status);
    assert!(said.contains("engine") && said.contains("does not answer") && said.contains("hint:"), "{said}");
    engine.start_again();
    project.write("deployment.yaml", &manifest);
    let _ = scs.ok(&["up", "-d"]);
    both_run(&scs).expect("`up` says so");
    assert_eq!(running(&engine), ["store", "web"], "nothing is doubled");
}

#[test]
fn an_engine_that_does_not_answer_is_told_of_and_costs_no_container() {
    let (engine, project) = world();
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let _ = scs.ok(&["up", "-d"]);
    let before = (scs.container("store"), scs.container("web"));
    engine.freeze();
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 69, "{}", run.shown());
    assert!(run.stderr().contains("does not answer") && run.stderr().contains("hint:"), "{}", run.shown());
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
    // What does not need the engine is still there.
    assert!(scs.slot("web").is_some());
    engine.thaw();
    let _ = scs.ok(&["up", "-d"]);
    wait_for("both to run", LONG, || both_run(&scs));
    assert_eq!((scs.container("store"), scs.container("web")), before, "nothing was restarted");
}
