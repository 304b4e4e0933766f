//! Placement over a few hosts.

use super::{Host, Placer, Unplaceable};
use scs_manifest::compiled::{Condition, Placement};

fn hosts() -> Vec<Host> {
    [("h1", "a"), ("h2", "a"), ("h3", "b")]
        .map(|(name, zone)| Host {
            name: name.to_owned(),
            labels: [("zone".to_owned(), zone.to_owned())].into(),
            seen: true,
            closed: None,
        })
        .into()
}

#[test]
fn a_slot_stays_where_it_is_while_that_is_allowed() {
    let hosts = hosts();
    let mut placer = Placer::new(&hosts);
    assert_eq!(placer.place("web", &Placement::default(), Some("h3")), Ok("h3"));
    let elsewhere = Placement { host: Some("h1".to_owned()), ..Placement::default() };
    assert_eq!(placer.place("db", &elsewhere, Some("h3")), Ok("h1"));
}

#[test]
fn instances_are_spread_over_the_values_of_a_label() {
    let hosts = hosts();
    let mut placer = Placer::new(&hosts);
    let wish = Placement { spread: Some("zone".to_owned()), ..Placement::default() };
    let placed: Vec<_> = (0..4).map(|_| placer.place("web", &wish, None).expect("a host")).collect();
    assert_eq!(placed, ["h1", "h3", "h2", "h3"]);
}

#[test]
fn labels_decide_and_an_impossible_wish_says_why() {
    let hosts = hosts();
    let mut placer = Placer::new(&hosts);
    let zone = |condition| Placement { r#match: [("zone".to_owned(), condition)].into(), ..Placement::default() };
    assert_eq!(placer.place("web", &zone(Condition::Not(vec!["a".to_owned()])), None), Ok("h3"));
    assert_eq!(placer.place("web", &zone(Condition::Exists(true)), None), Ok("h1"));
    assert_eq!(
        placer.place("web", &zone(Condition::In(vec!["c".to_owned()])), None),
        Err(Unplaceable::NoMatch { hosts: "h1, h2, h3".to_owned() })
    );
    let nowhere = Placement { host: Some("h9".to_owned()), ..Placement::default() };
    assert_eq!(
        placer.place("web", &nowhere, None),
        Err(Unplaceable::NoSuchHost { host: "h9".to_owned(), hosts: "h1, h2, h3".to_owned() })
    );
}

#[test]
fn a_closed_host_keeps_what_it_has_and_gets_nothing_new() {
    let mut hosts = hosts();
    hosts[0].closed = Some("is drained".to_owned());
    let mut placer = Placer::new(&hosts);
    assert_eq!(placer.place("web", &Placement::default(), Some("h1")), Ok("h1"));
    assert_eq!(placer.place("web", &Placement::default(), None), Ok("h2"));
    let there = Placement { host: Some("h1".to_owned()), ..Placement::default() };
    let refusal = placer.place("web", &there, None).expect_err("closed");
    assert_eq!(refusal.to_string(), "no host that it may be on takes anything new: h1 is drained");
}
