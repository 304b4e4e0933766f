//! Plans: what they look like, and that a model world that follows them ends where it should.

use super::{Action, Current, Effective, Error, Moved, Observed, Plan, Request, compute};
use crate::fixture::{deployment, live_update, provide, require, role, volume};
use crate::placement::Host;
use crate::slot::Slot;
use proptest::prelude::*;
use scs_manifest::compiled::{Deployment, Role};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// One slot of the model: where it is, what its container was made from, and what it has been told since.
#[derive(Debug, Clone, PartialEq)]
struct Running {
    host: String,
    made_from: Role,
    told: Role,
}

#[derive(Debug, Clone, Default)]
struct World(BTreeMap<Slot, Running>);

impl World {
    fn observed(&self) -> Vec<Observed> {
        let effective =
            |role: &Role| Effective { image_digest: role.image_digest.clone(), spec_digest: role.spec_digest.clone() };
        let seen = self.0.iter();
        seen.map(|(slot, it)| Observed {
            slot: slot.clone(),
            host: it.host.clone(),
            effective: Some(effective(&it.told)),
            settled: true,
        })
        .collect()
    }

    fn current<'a>(&self, deployment: &'a Deployment) -> Current<'a> {
        Current {
            deployment,
            hosts: self.0.iter().map(|(slot, it)| (slot.clone(), it.host.clone())).collect(),
            stopped: BTreeSet::new(),
            earlier: Vec::new(),
            moved: BTreeMap::new(),
            reset_placement: false,
        }
    }

    fn plan(&self, desired: &Deployment, current: Option<&Deployment>, hosts: &[Host]) -> Plan {
        let current = current.map(|deployment| self.current(deployment));
        compute(&Request { desired, base_revision: 1, current: current.as_ref(), observed: &self.observed(), hosts })
            .expect("placeable")
    }

    fn apply(&mut self, plan: &Plan, desired: &Deployment) {
        for step in &plan.steps {
            if step.action == Action::Remove {
                assert!(self.0.remove(&step.slot).is_some(), "removes what is there: {}", step.slot);
                continue;
            }
            let role = desired.roles[&step.slot.role].clone();
            match &step.action {
                Action::Keep | Action::LiveUpdate => {
                    let running = self.0.get_mut(&step.slot).expect("there");
                    assert_eq!(running.host, step.host);
                    running.told = role;
                }
                _ => {
                    let running = Running { host: step.host.clone(), made_from: role.clone(), told: role };
                    self.0.insert(step.slot.clone(), running);
                }
            }
        }
    }
}

fn one_host() -> Vec<Host> {
    vec![Host { name: "here".to_owned(), seen: true, ..Host::default() }]
}

fn blog() -> Deployment {
    deployment([
        role("mysql", &json!({"provide": {"mysql": provide(3306)}, "volumes": {"data": volume("/data")}})),
        role(
            "wordpress",
            &json!({
                "provide": {"http": provide(80)},
                "require": {"mysql": require("mysql", "mysql")},
                "process": {"environment": {"DATABASE": "{{ require.mysql.address }}"}},
            }),
        ),
    ])
}

/// A plan in the words of a golden.
fn told(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| {
            let changes: Vec<_> = step.changes.iter().map(|it| it.path.as_str()).collect();
            format!(
                "{} {:?}{} {changes:?} {:?}",
                step.slot.role,
                step.action,
                if step.build { " build" } else { "" },
                step.notes
            )
        })
        .collect()
}

#[test]
fn a_service_that_was_not_there_is_made_and_then_kept() {
    let (mut world, blog, hosts) = (World::default(), blog(), one_host());
    let plan = world.plan(&blog, None, &hosts);
    assert_eq!(told(&plan), ["mysql Create build [] []", "wordpress Create build [] []"]);
    world.apply(&plan, &blog);
    assert!(world.plan(&blog, Some(&blog), &hosts).is_empty());
}

#[test]
fn each_change_gets_the_least_action_and_says_why() {
    let (mut world, old, hosts) = (World::default(), blog(), one_host());
    world.apply(&world.plan(&old, None, &hosts), &old);
    let new = deployment([
        role(
            "mysql",
            &json!({
                "image": {"parameters": {"server_id": 64}},
                "provide": {"mysql": provide(3306)},
                "volumes": {"data": volume("/data")},
            }),
        ),
        role(
            "wordpress",
            &json!({
                "provide": {"http": provide(80)},
                "require": {"mysql": require("mysql-backup", "mysql")},
                "process": {"environment": {"DATABASE": "{{ require.mysql.address }}"}},
            }),
        ),
        role("cache", &json!({})),
    ]);
    let plan = world.plan(&new, Some(&old), &hosts);
    assert_eq!(
        told(&plan),
        [
            "mysql ReplaceStopFirst build [\"image.parameters.server_id\"] \
             [\"stops before the new one starts: only one container may use volume data\"]",
            "wordpress LiveUpdate [\"require.mysql.method.disco.role\"] [\"environment value DATABASE changes with \
             requirement mysql: other endpoints restart the container\"]",
            "cache Create build [] []",
        ]
    );
    assert_eq!(plan.steps[0].changes[0].new.as_deref(), Some("64"));
    assert_eq!(plan.steps[0].changes[0].old, None);
    let images = new.roles.values().map(|role| role.image_digest.clone()).collect();
    assert!(plan.with_images(&new, &images).steps.iter().all(|step| !step.build));
}

#[test]
fn what_goes_is_removed_last_and_its_data_stays() {
    let (mut world, old, hosts) = (World::default(), blog(), one_host());
    world.apply(&world.plan(&old, None, &hosts), &old);
    let mut new = old.clone();
    new.roles.shift_remove("mysql");
    let plan = world.plan(&new, Some(&old), &hosts);
    assert_eq!(told(&plan), ["wordpress Keep [] []", "mysql Remove [] [\"volume data stays, with its data\"]"]);
}

#[test]
fn a_change_that_has_not_got_through_is_still_to_be_made() {
    let (mut world, old, hosts) = (World::default(), blog(), one_host());
    world.apply(&world.plan(&old, None, &hosts), &old);
    let mut new = old.clone();
    new.roles["wordpress"] = role("wordpress", &json!({"image": {"parameters": {"x": 1}}}));
    // Desired state has the new one already, the world still runs the old one.
    let mut current = world.current(&new);
    current.earlier = vec![&old];
    let observed = world.observed();
    let request =
        Request { desired: &new, base_revision: 2, current: Some(&current), observed: &observed, hosts: &hosts };
    let plan = compute(&request).expect("placeable");
    assert_eq!(plan.steps[1].action, Action::ReplaceStartFirst);
    // Nobody remembers the old one.
    let forgetful = Current { earlier: Vec::new(), ..current.clone() };
    let request = Request { current: Some(&forgetful), ..request };
    let plan = compute(&request).expect("placeable");
    assert_eq!(plan.steps[1].action, Action::ReplaceStartFirst);
    assert!(plan.steps[1].notes[0].contains("no longer known"), "{:?}", plan.steps[1].notes);
}

#[test]
fn a_container_that_is_not_there_is_made_unless_its_host_has_not_spoken() {
    let (mut world, blog, mut hosts) = (World::default(), blog(), one_host());
    world.apply(&world.plan(&blog, None, &hosts), &blog);
    let current = world.current(&blog);
    let plan = |observed: &[Observed], hosts: &[Host]| {
        compute(&Request { desired: &blog, base_revision: 1, current: Some(&current), observed, hosts })
            .expect("placeable")
    };
    assert_eq!(plan(&[], &hosts).steps[0].action, Action::Create);
    let asking: Vec<Observed> =
        world.observed().into_iter().map(|it| Observed { effective: None, settled: false, ..it }).collect();
    assert!(plan(&asking, &hosts).is_empty());
    hosts[0].seen = false;
    assert!(plan(&[], &hosts).is_empty());
}

#[test]
fn a_stopped_slot_is_started_by_up() {
    let (mut world, blog, hosts) = (World::default(), blog(), one_host());
    world.apply(&world.plan(&blog, None, &hosts), &blog);
    let mut current = world.current(&blog);
    current.stopped = world.0.keys().take(1).cloned().collect();
    let observed = world.observed();
    let request =
        Request { desired: &blog, base_revision: 1, current: Some(&current), observed: &observed, hosts: &hosts };
    let plan = compute(&request).expect("placeable");
    assert_eq!(told(&plan)[0], "mysql Create [] [\"was stopped by hand and is started\"]");
}

#[test]
fn a_role_moves_when_its_host_is_no_longer_allowed() {
    let (mut world, old) = (World::default(), blog());
    world.apply(&world.plan(&old, None, &one_host()), &old);
    let hosts = [one_host(), vec![Host { name: "there".to_owned(), seen: true, ..Host::default() }]].concat();
    let mut new = old.clone();
    new.roles["wordpress"].placement.host = Some("there".to_owned());
    let plan = world.plan(&new, Some(&old), &hosts);
    assert_eq!(plan.steps[1].action, Action::Move { from: "here".to_owned() });
    assert_eq!(plan.steps[1].host, "there");
    new.roles["wordpress"].placement.host = Some("nowhere".to_owned());
    let current = world.current(&old);
    let request = Request { desired: &new, base_revision: 1, current: Some(&current), observed: &[], hosts: &hosts };
    assert!(matches!(compute(&request), Err(Error::Unplaceable { role, .. }) if role == "wordpress"));
}

#[test]
fn a_thousand_roles_are_kept_without_ado() {
    let roles = (0..1000).map(|at| role(&format!("r{at}"), &json!({"provide": {"http": provide(80)}})));
    let (mut world, big, hosts) = (World::default(), deployment(roles), one_host());
    world.apply(&world.plan(&big, None, &hosts), &big);
    assert!(world.plan(&big, Some(&big), &hosts).is_empty());
}

/// Any role out of a small space that has every kind of change in it.
fn any_role(name: &'static str) -> impl Strategy<Value = Role> {
    (0..3_u32, 0..2_u32, 0..2_u32, any::<bool>(), any::<bool>(), 1..3_u32, 0..2_u32).prop_map(
        move |(image, env, attribute, single, fixed, replicas, secret)| {
            let mut http = provide(80);
            http["attributes"] = json!({"a": attribute.to_string()});
            if fixed {
                http["publish"]["port"] = json!(8080);
            }
            let volumes = if single { json!({"data": volume("/data")}) } else { json!({}) };
            let secrets = json!({"P": {"from": secret.to_string(), "as": "file", "liveupdate": live_update()}});
            role(
                name,
                &json!({
                    "image": {"parameters": {"p": image}},
                    "process": {"environment": {"E": env.to_string()}},
                    "provide": {"http": http},
                    "volumes": volumes,
                    "secrets": secrets,
                    "replicas": if single { 1 } else { replicas },
                }),
            )
        },
    )
}

fn any_deployment() -> impl Strategy<Value = Deployment> {
    (prop::option::of(any_role("a")), prop::option::of(any_role("b")), prop::option::of(any_role("c")))
        .prop_map(|(a, b, c)| deployment([a, b, c].into_iter().flatten()))
}

proptest! {
    #[test]
    fn a_plan_that_is_followed_gives_what_was_desired(history in prop::collection::vec(any_deployment(), 1..6)) {
        let hosts = one_host();
        let mut world = World::default();
        let mut current: Option<&Deployment> = None;
        for desired in &history {
            let plan = world.plan(desired, current, &hosts);
            world.apply(&plan, desired);
            let expected: BTreeSet<Slot> = super::compute::slots(desired).map(|(slot, _)| slot).collect();
            prop_assert_eq!(&world.0.keys().cloned().collect::<BTreeSet<_>>(), &expected);
            for (slot, running) in &world.0 {
                let wanted = &desired.roles[&slot.role];
                prop_assert_eq!(&running.told, wanted);
                // A container that was only told is one that a new container would not differ from in what is fixed.
                prop_assert!(crate::change::classify(&running.made_from, wanted) < crate::change::ChangeKind::Replace);
            }
            prop_assert!(world.plan(desired, Some(desired), &hosts).is_empty());
            current = Some(desired);
        }
    }
}

#[test]
fn a_moved_slot_stays_and_is_placed_anew_only_when_that_is_asked_for() {
    let hosts = ["a", "b"].map(|name| Host { name: name.to_owned(), seen: true, ..Host::default() });
    let plan = |place: Option<&str>, forced: bool, reset: bool| {
        let blog = deployment([role("web", &json!({"placement": {"host": place}}))]);
        let slot = Slot { environment: "dev".into(), service: "blog".into(), role: "web".into(), index: 0 };
        let moved = Moved { host: "b".into(), who: "ann".into(), at: "2026-01-01".into(), forced };
        let current = Current {
            deployment: &blog,
            hosts: BTreeMap::from([(slot.clone(), "b".to_owned())]),
            stopped: BTreeSet::new(),
            earlier: Vec::new(),
            moved: BTreeMap::from([(slot, moved)]),
            reset_placement: reset,
        };
        let request =
            Request { desired: &blog, base_revision: 1, current: Some(&current), observed: &[], hosts: &hosts };
        let step = compute(&request).unwrap().steps.remove(0);
        (step.host, step.notes.iter().any(|note| note.contains("ann moved it to b on 2026-01-01")))
    };
    assert_eq!(plan(None, false, false), ("b".to_owned(), true));
    assert_eq!(plan(None, false, true), ("a".to_owned(), false));
    // Against `place` only what was forced stays.
    assert_eq!(plan(Some("a"), false, false), ("a".to_owned(), false));
    assert_eq!(plan(Some("a"), true, false), ("b".to_owned(), true));
    assert_eq!(plan(Some("a"), true, true), ("a".to_owned(), false));
}
