//! Images on an engine of the test's own: which of them `prune` keeps, and what a failed build leaves.

use scs_e2e::Scs;
use scs_e2e::project::Project;
use scs_testkit::OwnEngine;
use std::collections::BTreeSet;
use std::path::Path;

/// Revisions whose images are kept.
const KEPT: usize = 10;

/// One role whose image is made by a script upon BusyBox.
fn project() -> Project {
    let project = Project::empty();
    deploy(&project, 0);
    project.write(
        "images/job/image.yaml",
        "version: 1\nengine: { docker: { from: busybox:1, command: [/run/scs/bin/scs-helper, serve, --port, '80'] } }\n\
         config: { method: shell, parameters: { number: 0 } }\n\
         provide: { http: { port: 80, health: { http: /, interval: 200ms } } }\n",
    );
    project.write("images/job/configure.sh", "#!/bin/sh\nset -e\necho $SCS_PARAM_NUMBER > /number\n");
    project
}

fn deploy(project: &Project, number: usize) {
    let role = format!("image: {{ source: {{ path: images/job }}, config: {{ number: {number} }} }}");
    project.write(
        "deployment.yaml",
        &format!("version: 1\nservice: shop\ncontainers:\n  job:\n    {role}\n    stop_grace_period: 500ms\n"),
    );
}

fn images(engine: &OwnEngine) -> BTreeSet<String> {
    engine.docker(&["images", "--all", "--quiet", "--no-trunc"]).lines().map(str::to_owned).collect()
}

fn image(scs: &Scs) -> String {
    let slot = scs.slot("job").expect("it runs");
    slot["container"]["image_digest"].as_str().unwrap_or_else(|| panic!("no digest: {slot:#}")).to_owned()
}

fn images_of(engine: &OwnEngine, digest: &str) -> usize {
    let filter = format!("label=scs.image-digest={digest}");
    engine.docker(&["images", "--quiet", "--filter", &filter]).lines().count()
}

#[test]
fn prune_keeps_the_images_of_the_last_ten_revisions_and_removes_that_of_the_eleventh() {
    let engine = OwnEngine::start();
    engine.make_busybox_image("busybox:1");
    let project = project();
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let mut made = Vec::new();
    for number in 0..=KEPT {
        deploy(&project, number);
        let _ = scs.ok(&["up", "-d"]);
        made.push(image(&scs));
    }
    assert_eq!(
        made.iter().filter(|digest| images_of(&engine, digest) == 1).count(),
        KEPT + 1,
        "nothing goes by itself"
    );
    let pruned = scs.ok(&["prune", "--yes"]);
    assert_eq!(images_of(&engine, &made[0]), 0, "{pruned}");
    for digest in &made[1..] {
        assert_eq!(images_of(&engine, digest), 1, "{digest} is kept:\n{pruned}");
    }
    // The oldest that is kept comes back without a build.
    let oldest = scs.json(&["history", "-o", "json"]);
    let oldest = oldest.as_array().expect("a list").iter().filter_map(|it| it["revision"].as_u64()).min();
    let _ = scs.ok(&["rollback", "--yes", &oldest.expect("there are some").to_string()]);
    assert_eq!(image(&scs), made[1]);
    assert_eq!(scs.ok(&["exec", "job", "--", "cat", "/number"]).trim(), "1");
}

/// All that lies in a directory.
fn files(directory: &Path) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("it can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path.clone());
            }
            found.insert(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_build_that_fails_leaves_no_image_no_container_and_no_file() {
    let engine = OwnEngine::start();
    engine.make_busybox_image("busybox:1");
    let project = project();
    let scs = Scs::on(project.path(), &engine.address(), &engine.network());
    let _ = scs.ok(&["up", "-d"]);
    let containers = || engine.docker(&["ps", "--all", "--quiet", "--no-trunc"]);
    let before = (images(&engine), containers(), files(scs.state()));
    project.write("images/job/configure.sh", "#!/bin/sh\nset -e\necho here > /file\necho the reason >&2\nexit 9\n");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("the reason"), "{}", run.shown());
    assert_eq!(images(&engine), before.0);
    assert_eq!(containers(), before.1);
    // The source that was sent stays until `prune`, so that the next try need not send it again. Locks are empty, and discovery
    // writes down what runs when it likes.
    let of_builds = |path: &&String| !path.ends_with(".lock") && !path.contains("/disco.");
    let left = || -> Vec<String> { files(scs.state()).difference(&before.2).filter(of_builds).cloned().collect() };
    assert!(left().iter().all(|it| it.contains("/bundles/")), "{:#?}", left());
    let _ = scs.ok(&["prune", "--yes"]);
    assert!(left().is_empty(), "{:#?}", left());
    // By a Dockerfile whose first steps work.
    project.write("images/job/image.yaml", "version: 1\nconfig: { method: dockerfile }\n");
    project.write("images/job/Dockerfile", "FROM busybox:1\nRUN echo here > /file\nRUN echo the reason >&2; exit 9\n");
    deploy(&project, 0);
    project.replace("deployment.yaml", ", config: { number: 0 }", "");
    let run = scs.run(&["up", "-d"]);
    assert_eq!(run.code(), 1, "{}", run.shown());
    assert!(run.stderr().contains("the reason"), "{}", run.shown());
    assert_eq!(images(&engine), before.0);
    assert_eq!(containers(), before.1);
}
