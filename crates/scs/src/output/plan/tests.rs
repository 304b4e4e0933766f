//! What a plan looks like.

use super::*;
use crate::settings::Screen;
use scs_plan::slot::Slot;

fn step(role: &str, action: Action) -> Step {
    let slot = Slot { environment: "dev".into(), service: "blog".into(), role: role.into(), index: 0 };
    Step { slot, action, host: "laptop".into(), build: false, changes: Vec::new(), notes: Vec::new() }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan { version: 1, environment: "dev".into(), service: "blog".into(), base_revision: 3, steps }
}

fn shown(plan: &Plan) -> String {
    render(plan, &Printer { screen: Screen::default() }, true)
}

#[test]
fn marks_reasons_and_a_footer_are_shown() {
    let mut replaced = step("mysql", Action::ReplaceStopFirst);
    replaced.build = true;
    replaced.changes.push(Difference {
        path: "image.parameters.server_id".into(),
        old: Some("64".into()),
        new: Some("65".into()),
    });
    let mut told = step("wordpress", Action::LiveUpdate);
    told.notes.push("secret DB_PASSWORD has a new value".into());
    let plan = plan(vec![
        step("cache", Action::Create),
        replaced,
        told,
        step("same", Action::Keep),
        step("old", Action::Remove),
    ]);
    insta::assert_snapshot!(shown(&plan), @r"
    +   cache      create
    -/+ mysql      replace: the old one stops before the new one starts, its image is built first
        │ image.parameters.server_id  64 → 65
    ↻   wordpress  live-update, no restart
        │ secret DB_PASSWORD has a new value
    -   old        remove; volumes stay
    1 create · 1 live-update · 1 remove · 1 unchanged · 1 restart
    ");
    assert!(interrupts(&plan));
}

#[test]
fn instances_are_named_as_they_are_typed_and_several_hosts_are_counted() {
    let instance = |index| {
        let mut step = step("worker", Action::ReplaceStopFirst);
        (step.slot.index, step.host) = (index, format!("h{index}"));
        step
    };
    insta::assert_snapshot!(shown(&plan(vec![step("web", Action::Create), instance(0), instance(1)])), @r"
    +   web       create on laptop
    -/+ worker.0  replace: the old one stops before the new one starts
    -/+ worker.1  replace: the old one stops before the new one starts
    1 create · 2 restart · across 3 hosts
    ");
}

#[test]
fn nothing_to_do_is_said_in_words() {
    let plan = plan(vec![step("cache", Action::Keep)]);
    assert_eq!(shown(&plan), "nothing to do: dev/blog is as its manifests say");
    assert!(!changes(&plan) && !interrupts(&plan));
}
