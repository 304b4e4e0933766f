//! Images configured by scripts.

use super::world::{BASE, World, unique};
use bytes::Bytes;
use futures_util::StreamExt;
use scs_image::{DIGEST_LABEL, MANIFEST_LABEL, Origin, TITLE_LABEL};
use scs_manifest::compiled::{Base, Configurator, Image};
use scs_ports::engine::{Build, Create, Progress};
use serde_json::json;
use std::collections::BTreeSet;

fn shell(scripts: &[&str]) -> Configurator {
    Configurator::Shell { scripts: scripts.iter().map(|&script| script.to_owned()).collect() }
}

#[tokio::test]
async fn scripts_run_in_order_with_their_parameters_and_leave_nothing_but_their_work() {
    let world = World::new().await;
    let nasty = "it's \"x\" $HOME\n\\ ünï";
    let mut image = world.image(
        shell(&["configure.sh", "second"]),
        json!({"greeting": nasty, "port": 8080}),
        &[
            ("configure.sh", "set -eu\ncp files/a /etc/a\nprintf %s \"$SCS_PARAM_GREETING\" >/etc/greeting\ncp \"$SCS_PARAMETERS\" /etc/p\n"),
            ("second", "#!/bin/bash\n[[ -e /etc/a ]] && echo \"port $SCS_PARAM_PORT in $PWD\" >>/etc/a\ninvoke-rc.d x start; echo policy $? >>/etc/a\n"),
            ("files/a", "content of a\n"),
        ],
    );
    image.command = Some(vec!["/bin/cat".to_owned(), "/etc/a".to_owned()]);
    image.user = Some("nobody".to_owned());
    let built = world.ensure(&image).await.expect("built");
    assert_eq!(built.origin, Origin::Built);
    let id = &built.image_id;
    let output = world.output(id, None).await;
    assert!(output.starts_with("content of a\nport 8080 in /dev/scs-build/source\npolicy "), "{output}");
    assert_eq!(world.output(id, Some("cat /etc/greeting; id -un")).await, format!("{nasty}nobody\n"));
    assert!(world.output(id, Some("cat /etc/p")).await.contains("\"port\": 8080"));
    let left =
        world.output(id, Some("env | grep -i scs; ls -d /dev/scs* /usr/sbin/policy-rc.d 2>/dev/null; ls / /run")).await;
    assert!(!left.contains("scs") && !left.contains("policy"), "{left}");
    let labels = world.engine.image(id).await.expect("asked").expect("there").labels;
    assert_eq!(labels[DIGEST_LABEL], world.digest(&image));
    assert_eq!(labels[TITLE_LABEL], "Test");
    assert_eq!(serde_json::from_str::<Image>(&labels[MANIFEST_LABEL]).expect("JSON"), image);
    assert!(!world.state().join("builds").read_dir().expect("there").any(|_| true), "the build's files stay");

    let again = world.ensure(&image).await.expect("found");
    assert_eq!((again.origin, again.image_id), (Origin::Found, built.image_id));
}

#[tokio::test]
async fn a_failing_script_is_shown_with_its_last_lines_and_nothing_is_left() {
    let world = World::new().await;
    let files = [("a.sh", "echo fine\n"), ("b.sh", "echo before\necho wrong >&2\nexit 3\n")];
    let image = world.image(shell(&["a.sh", "b.sh"]), json!({}), &files);
    let error = world.ensure(&image).await.expect_err("it fails");
    assert_eq!(
        error.to_string(),
        "the image of blog/web was not built: step `2/2: b.sh` failed: it ended with exit code 3"
    );
    assert_eq!(error.output().len(), 3, "{:?}", error.output());
    assert!(error.output().contains(&"wrong".to_owned()), "{:?}", error.output());
    assert!(error.hint().expect("there is one").contains("nothing was left behind"));
    assert!(world.lines.all().contains("fine"));
    assert_eq!(world.left(&world.digest(&image)).await, [""; 0]);
}

#[tokio::test]
async fn a_script_that_is_not_in_the_source_is_named_before_anything_runs() {
    let world = World::new().await;
    let image = world.image(shell(&["gone.sh"]), json!({}), &[]);
    let error = world.ensure(&image).await.expect_err("it is not there");
    assert!(error.to_string().contains("no `gone.sh`, which config.scripts names"), "{error}");
}

#[tokio::test]
async fn a_base_keeps_its_settings_and_is_configured_as_root_all_the_same() {
    let world = World::new().await;
    let base = format!("scs-image-test:{}", unique());
    world.removes(&base);
    let dockerfile = format!(
        "FROM {BASE}\nENV A=from-base\nUSER nobody\nWORKDIR /srv\nCMD [\"/bin/sh\", \"-c\", \"id -un; pwd; echo $A; cat /etc/made\"]\n"
    );
    build_base(&world, &base, &dockerfile).await;
    let mut image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "id -un >/etc/made\n")]);
    image.base = Base::Reference(base.clone());
    let built = world.ensure(&image).await.expect("built");
    assert_eq!(world.output(&built.image_id, None).await, "nobody\n/srv\nfrom-base\nroot\n");
    assert_eq!(world.output(&built.image_id, Some("env | sort | grep -v HOSTNAME")).await.lines().count(), {
        world.output(&base, Some("env | sort | grep -v HOSTNAME")).await.lines().count()
    });
}

async fn build_base(world: &World, reference: &str, dockerfile: &str) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).expect("packed");
    let context = Bytes::from(tar.into_inner().expect("packed"));
    let request = Build { dockerfile: "Dockerfile".to_owned(), reference: reference.to_owned(), ..Build::default() };
    let context = futures_util::stream::iter([Ok(context)]).boxed();
    world.engine.build(&request, context, &world.lines).await.expect("built");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_want_one_digest_build_it_once() {
    let world = World::new().await;
    let image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "echo it-runs\nsleep 1\n")]);
    let digest = world.digest(&image);
    // Two services on one state directory stand for two processes: between them is only the file lock.
    let services = [world.images(Vec::new()), world.images(Vec::new())];
    let calls = (0..6).map(|i| services[i % 2].ensure(&digest, &image, "blog/web", &world.lines));
    let results = futures_util::future::join_all(calls).await;
    let built = results.iter().filter(|result| result.as_ref().expect("there").origin == Origin::Built).count();
    assert_eq!(built, 1, "{results:?}");
    assert_eq!(world.lines.all().matches("it-runs").count(), 1);
    assert!(world.lines.all().contains("waiting: another process"), "{}", world.lines.all());
}

#[tokio::test]
async fn those_who_waited_for_a_failing_build_get_its_failure() {
    let world = World::new().await;
    let image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "echo it-runs\nexit 5\n")]);
    let (digest, service) = (world.digest(&image), world.images(Vec::new()));
    let calls = (0..4).map(|_| service.ensure(&digest, &image, "blog/web", &world.lines));
    for result in futures_util::future::join_all(calls).await {
        let error = result.expect_err("it fails");
        assert!(error.to_string().contains("it ended with exit code 5"), "{error}");
        assert!(error.output().contains(&"it-runs".to_owned()), "{error:?}");
    }
    assert_eq!(world.lines.all().matches("it-runs").count(), 1);
}

#[tokio::test]
async fn a_build_that_is_given_up_leaves_nothing() {
    let world = World::new().await;
    let image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "echo it-runs\nsleep 600\n")]);
    let (digest, service) = (world.digest(&image), world.images(Vec::new()));
    let running = tokio::sync::Notify::new();
    let progress = |line: &str| {
        if line == "it-runs" {
            running.notify_one();
        }
    };
    tokio::select! {
        result = service.ensure(&digest, &image, "blog/web", &progress) => panic!("it sleeps: {result:?}"),
        () = running.notified() => {}
    }
    world.wait_until_nothing_is_left(&digest).await;
}

#[tokio::test]
async fn what_a_killed_build_left_is_removed_by_the_next_and_by_prune() {
    let world = World::new().await;
    let image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "sleep 600\n")]);
    let (digest, service) = (world.digest(&image), world.images(Vec::new()));
    let name = std::sync::OnceLock::new();
    let started = tokio::sync::Notify::new();
    let progress = |line: &str| {
        if line.starts_with("--- step") {
            started.notify_one();
        }
    };
    {
        let mut build = std::pin::pin!(service.ensure(&digest, &image, "blog/web", &progress));
        tokio::select! {
            result = &mut build => panic!("it sleeps: {result:?}"),
            () = started.notified() => {}
        }
        name.set(world.left(&digest).await.remove(0)).expect("once");
    }
    world.wait_until_nothing_is_left(&digest).await;
    // As a killed process would have left it.
    let name = name.get().expect("set").clone();
    let leave = async || {
        let request = Create {
            name: name.clone(),
            image: BASE.to_owned(),
            entrypoint: Some(vec!["/bin/sleep".to_owned(), "600".to_owned()]),
            network: "none".to_owned(),
            ..Create::default()
        };
        let id = world.engine.create(&request).await.expect("created");
        world.engine.start(&id).await.expect("started");
    };
    leave().await;
    let pruned =
        service.prune(&BTreeSet::new(), &BTreeSet::new(), &world.lines as &dyn Progress).await.expect("pruned");
    assert_eq!(pruned.containers, 1);
    assert_eq!(world.left(&digest).await, [""; 0]);
}

#[tokio::test]
async fn prune_removes_what_this_installation_made_and_is_not_kept() {
    let world = World::new().await;
    let image = |n: u32| world.image(shell(&["configure.sh"]), json!({"n": n}), &[("configure.sh", "true\n")]);
    let (kept, gone) = (image(1), image(2));
    for image in [&kept, &gone] {
        world.ensure(image).await.expect("built");
    }
    let keep = BTreeSet::from([world.digest(&kept)]);
    let sources = kept.source_digest.clone().into_iter().collect();
    let service = world.images(Vec::new());
    let pruned = service.prune(&keep, &sources, &world.lines as &dyn Progress).await.expect("pruned");
    assert_eq!(pruned.images, [world.digest(&gone)]);
    assert_eq!(pruned.bundles, 0);
    assert!(service.find(&world.digest(&kept)).await.expect("asked").is_some());
    assert!(service.find(&world.digest(&gone)).await.expect("asked").is_none());
    assert_eq!(world.left(&world.digest(&gone)).await, [""; 0]);
    let others = tempfile::tempdir().expect("made");
    let other = scs_image::Images::new(world.engine.clone(), world.bundles(), Vec::new(), others.path().join("state"));
    let pruned = other.prune(&BTreeSet::new(), &sources, &world.lines as &dyn Progress).await.expect("pruned");
    assert_eq!(pruned.images, [""; 0], "another installation's");
}

#[tokio::test]
async fn prune_leaves_what_a_container_uses() {
    let world = World::new().await;
    let mut image = world.image(shell(&["configure.sh"]), json!({}), &[("configure.sh", "true\n")]);
    image.command = Some(vec!["/bin/true".to_owned()]);
    let built = world.ensure(&image).await.expect("built");
    let request = Create {
        name: format!("scs-image-test-{}", unique()),
        image: built.image_id,
        network: "none".to_owned(),
        ..Create::default()
    };
    let id = world.engine.create(&request).await.expect("created");
    let service = world.images(Vec::new());
    let pruned = service.prune(&BTreeSet::new(), &BTreeSet::new(), &world.lines as &dyn Progress).await;
    world.engine.remove(&id).await.expect("removed");
    let pruned = pruned.expect("pruned");
    assert_eq!((pruned.images.len(), pruned.in_use), (0, vec![world.digest(&image)]));
    let pruned = service.prune(&BTreeSet::new(), &BTreeSet::new(), &world.lines as &dyn Progress).await;
    assert_eq!(pruned.expect("pruned").images, [world.digest(&image)]);
}
