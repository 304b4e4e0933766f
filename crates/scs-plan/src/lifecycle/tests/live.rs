//! The contract of live updates, clause by clause (`docs/manifest-reference.md`, `liveupdate`).

use super::*;

/// A user of `mysql` whose live update is as usual but for this.
fn user_with(key: &str, value: &Value) -> Role {
    let mut require = require("db", "mysql");
    require["liveupdate"][key] = value.clone();
    plain(&json!({"require": {"mysql": require}}))
}

fn settled(role: Role) -> (Scene, String) {
    let mut scene = Scene::of(role);
    scene.endpoints(1, &[1], true);
    let instance = scene.settle();
    (scene, instance)
}

fn told(scene: &mut Scene) -> bool {
    kinds(&scene.taken()).contains(&"LiveUpdate".to_owned())
}

#[test]
fn one_runs_at_a_time_and_what_changes_meanwhile_is_told_once_after_it() {
    let (mut scene, instance) = settled(user());
    scene.endpoints(2, &[2], true);
    scene.after(250);
    let effects = scene.taken();
    let Some(Effect::LiveUpdate { run, .. }) = effects.iter().find(|it| matches!(it, Effect::LiveUpdate { .. })) else {
        panic!("{effects:?}")
    };
    for (seq, port) in [(3, 3), (4, 4), (5, 5)] {
        scene.endpoints(seq, &[port], true);
        scene.after(10_000);
        assert!(!told(&mut scene), "the first one still runs");
    }
    let standing = scene.life.report(scene.now).requirements["mysql"].clone();
    assert_eq!((standing.applied, standing.standing.as_str()), (false, "not yet: the live update is running"));
    scene.tell(Input::LiveUpdated { instance, run: *run, outcome: Outcome { code: Some(0), ..Outcome::default() } });
    assert_eq!(scene.live_updated(0), ["192.0.2.1:5"]);
    scene.after(60_000);
    assert!(!told(&mut scene));
    assert!(scene.life.report(scene.now).requirements["mysql"].applied);
}

#[test]
fn it_waits_until_the_container_has_been_healthy_once() {
    let mut role = healthy();
    role["require"] = json!({"mysql": require("db", "mysql")});
    for (back, expected) in [(false, true), (true, false)] {
        let mut scene = Scene::of(plain(&role));
        scene.endpoints(1, &[1], true);
        let instance = scene.launch();
        scene.endpoints(2, &[2], true);
        scene.after(5000);
        let standing = scene.life.report(scene.now).requirements["mysql"].standing.clone();
        assert_eq!(standing, "not yet: the container is told once it has been healthy");
        if back {
            scene.endpoints(3, &[1], true);
        }
        assert!(!told(&mut scene));
        scene.tell(Input::Probed { instance, endpoint: "http".into(), result: Ok(()) });
        scene.after(250);
        assert_eq!(told(&mut scene), expected, "only if anything moved meanwhile");
    }
}

#[test]
fn a_newer_change_does_not_wait_for_the_next_try_of_an_older_one() {
    let (mut scene, _) = settled(user());
    scene.endpoints(2, &[2], true);
    scene.after(250);
    for _ in 0..6 {
        scene.live_updated(1);
        scene.now = scene.life.next_deadline(scene.now).unwrap();
        scene.tell(Input::Tick);
    }
    scene.live_updated(1);
    let standing = scene.life.report(scene.now).requirements["mysql"].standing.clone();
    assert_eq!(standing, "not yet: the live update has failed 7 times in a row and is tried again");
    scene.endpoints(3, &[3], true);
    scene.after(250);
    assert_eq!(scene.live_updated(0), ["192.0.2.1:3"]);
}

#[test]
fn without_a_command_a_change_makes_the_container_anew() {
    let (mut scene, first) = settled(user_with("action", &json!("restart")));
    scene.endpoints(2, &[2], true);
    scene.after(250);
    assert!(!kinds(&scene.out).contains(&"LiveUpdate".to_owned()));
    let standing = scene.life.report(scene.now).requirements["mysql"].standing.clone();
    assert_eq!(standing, "not yet: its container is made anew, as mysql changed");
    assert_ne!(scene.launch(), first);
}

#[test]
fn liveupdate_none_writes_the_files_and_counts_as_applied() {
    let (mut scene, _) = settled(user_with("action", &json!("none")));
    scene.endpoints(2, &[2], true);
    scene.after(250);
    let effects = scene.taken();
    assert_eq!(kinds(&effects), ["WriteFiles", "Applied"], "{effects:?}");
    let standing = scene.life.report(scene.now).requirements["mysql"].clone();
    assert!(standing.applied && standing.standing.contains("`liveupdate: none`"), "{standing:?}");
}

#[test]
fn a_signal_is_sent_instead_of_a_command() {
    let (mut scene, _) = settled(user_with("action", &json!({"signal": "HUP"})));
    scene.endpoints(2, &[2], true);
    scene.after(250);
    let effects = scene.taken();
    let written = effects.iter().position(|it| matches!(it, Effect::WriteFiles { .. })).unwrap();
    let signal = Tell::Signal("HUP".into());
    let sent = effects.iter().position(|it| matches!(it, Effect::LiveUpdate { action, .. } if *action == signal));
    assert!(sent.is_some_and(|sent| written < sent), "the files are there before: {effects:?}");
}

#[test]
fn on_empty_apply_tells_of_an_empty_set_whatever_the_reason() {
    let (mut scene, _) = settled(user_with("on_empty", &json!("apply")));
    scene.endpoints(2, &[], false);
    scene.after(250);
    assert_eq!(scene.live_updated(0), Vec::<String>::new());
}

#[test]
fn what_is_held_is_said_with_its_reason_until_somebody_is_there_again() {
    let (mut scene, _) = settled(user());
    let at = scene.now;
    scene.endpoints(2, &[], false);
    scene.after(60_000);
    let connection = scene.life.report(scene.now).requirements["mysql"].clone();
    assert_eq!(connection.held, Some((at, Some(Reason::Died))));
    assert_eq!(connection.sees, ["192.0.2.1:1"], "what it had is kept");
    scene.endpoints(3, &[2], false);
    assert_eq!(scene.life.report(scene.now).requirements["mysql"].held, None);
    scene.after(250);
    assert_eq!(scene.live_updated(0), ["192.0.2.1:2"]);
}

#[test]
fn requirements_with_the_same_command_are_told_by_one_run_and_others_one_after_the_other() {
    let mut other = require("cache", "redis");
    for (same, runs) in [(true, 1), (false, 2)] {
        if !same {
            other["liveupdate"]["action"] = json!({"command": ["/other"]});
        }
        let with = json!({"require": {"mysql": require("db", "mysql"), "redis": other}});
        let mut scene = Scene::of(plain(&with));
        let set = |seq, port| Endpoints { list: vec![endpoint(port)], seq, complete: true, ..Endpoints::default() };
        let both = |scene: &mut Scene, seq, port| {
            for requirement in ["mysql", "redis"] {
                scene.tell(Input::EndpointsChanged { requirement: requirement.into(), set: set(seq, port) });
            }
        };
        both(&mut scene, 1, 1);
        scene.settle();
        both(&mut scene, 2, 2);
        scene.after(250);
        for _ in 0..runs {
            scene.live_updated(0);
        }
        scene.after(60_000);
        assert!(!told(&mut scene));
    }
}

#[test]
fn all_files_and_the_command_carry_one_revision_that_grows() {
    let (mut scene, _) = settled(user());
    for revision in [2, 3] {
        scene.endpoints(revision, &[u16::try_from(revision).unwrap()], true);
        scene.after(250);
        let revisions: Vec<u64> = scene
            .out
            .iter()
            .filter_map(|it| match it {
                Effect::WriteFiles { view, .. } | Effect::LiveUpdate { view, .. } => Some(view.revision),
                _ => None,
            })
            .collect();
        assert_eq!(revisions, [revision, revision]);
        scene.live_updated(0);
    }
}
