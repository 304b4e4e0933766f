//! The least that is needed, and no more.

use scs_e2e::Scs;
use scs_e2e::docker::{docker, images_of, started_at};
use scs_e2e::project::Project;

#[test]
fn a_second_up_changes_nothing() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let before = (started_at(&scs.container("store")), started_at(&scs.container("web")));
    assert_eq!(scs.run(&["plan", "--detailed-exitcode"]).code(), 0);
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!((started_at(&scs.container("store")), started_at(&scs.container("web"))), before);
}

#[test]
fn a_changed_parameter_rebuilds_one_image_and_replaces_one_container() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let (store, web) = (scs.container("store"), scs.container("web"));
    let greeting = format!("hello-{}", std::process::id());
    project.replace("deployment.yaml", "greeting: hello", &format!("greeting: {greeting}"));
    let plan = scs.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.code(), 2, "{}", plan.shown());
    assert!(plan.stdout().contains("greeting"), "the plan says why:\n{}", plan.shown());
    let _ = scs.ok(&["up", "-d"]);
    assert_ne!(scs.container("store"), store);
    assert_eq!(scs.container("web"), web);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), greeting);
    let digest =
        scs.slot("store").expect("it runs")["container"]["image_digest"].as_str().expect("a digest").to_owned();
    for image in images_of(&digest) {
        assert!(!docker(&["history", "--no-trunc", &image]).contains("TOKEN="));
    }
}

#[test]
fn a_changed_connection_rebuilds_no_image() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let image = |role| scs.slot(role).expect("it runs")["container"]["image"].clone();
    let before = (image("store"), image("web"));
    project.replace(
        "deployment.yaml",
        "require: { db: { wait: 30s } }",
        "require: { db: { wait: 30s, prefer: [zone] } }",
    );
    project.replace("images/web/image.yaml", "http: /, interval: 200ms", "http: /, interval: 300ms");
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!((image("store"), image("web")), before);
}

#[test]
fn down_and_up_keep_the_data() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    let _ = scs.ok(&["exec", "store", "--", "sh", "-c", "echo precious > /data/file"]);
    let _ = scs.ok(&["down"]);
    assert!(scs.slot("store").is_none());
    let listed = scs.ok(&["volume", "ls"]);
    assert!(listed.contains("shop/store/data"), "a volume stays listed:\n{listed}");
    let _ = scs.ok(&["up", "-d"]);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/data/file"]).trim(), "precious");
}

#[test]
fn a_rollback_brings_the_last_revision_back_without_building() {
    let project = Project::store_and_web();
    let scs = Scs::new(project.path());
    let _ = scs.ok(&["up", "-d"]);
    project.replace("deployment.yaml", "greeting: hello", &format!("greeting: changed-{}", std::process::id()));
    let _ = scs.ok(&["up", "-d"]);
    let _ = scs.ok(&["rollback", "-y"]);
    assert_eq!(scs.ok(&["exec", "store", "--", "cat", "/greeting"]).trim(), "hello");
    assert!(scs.json(&["history", "-o", "json"]).as_array().is_some_and(|revisions| revisions.len() == 3));
}

#[test]
fn the_same_manifests_in_two_directories_have_the_same_digests() {
    let (one, two) = (Project::store_and_web(), Project::store_and_web());
    assert_eq!(Scs::new(one.path()).ok(&["compile"]), Scs::new(two.path()).ok(&["compile"]));
}
