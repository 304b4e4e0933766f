//! Host loss over a few hosts.

use super::{Contact, Decision, Grace, Losses, Resident, Standing};
use crate::fixture::{role, volume};
use crate::placement::Host;
use crate::slot::Slot;
use scs_manifest::compiled::Role;
use serde_json::{Value, json};
use std::time::Duration;

const GRACE: Grace = Grace { silent: Duration::from_secs(2), away: Duration::from_secs(10) };
const AWAY: Contact = Contact::Away(Duration::from_secs(10));
const LOST: Contact = Contact::Silent(Duration::from_secs(3));
use Contact::{Answers, Connecting};

/// Hosts h1, h2, … of zones a, b, a, b, ….
fn losses(contacts: &[Contact]) -> Losses {
    let standing = |(at, contact): (usize, &Contact)| {
        let zone = if at % 2 == 0 { "a" } else { "b" };
        let labels = [("zone".to_owned(), zone.to_owned())].into();
        let host = Host { name: format!("h{}", at + 1), labels, seen: true, closed: None };
        Standing { host, contact: *contact }
    };
    Losses::of(contacts.iter().enumerate().map(standing).collect(), GRACE)
}

fn elsewhere(with: &Value) -> Role {
    let mut all = json!({"on_host_loss": "elsewhere"});
    all.as_object_mut().expect("an object").extend(with.as_object().expect("an object").clone());
    role("web", &all)
}

fn residents<'a>(role: &'a Role, hosts: &[&'a str]) -> Vec<Resident<'a>> {
    let slot = |index| Slot {
        environment: "dev".to_owned(),
        service: "blog".to_owned(),
        role: role.name.clone(),
        index: u32::try_from(index).expect("few"),
    };
    hosts
        .iter()
        .enumerate()
        .map(|(at, host)| Resident { slot: slot(at), role, host, bereft: None, stays: false, lease: None })
        .collect()
}

fn to(decision: &Decision) -> Vec<(u32, &str)> {
    decision.relocations.iter().map(|it| (it.slot.index, it.to.as_str())).collect()
}

fn waits(decision: &Decision) -> Vec<String> {
    decision.waits.iter().map(ToString::to_string).collect()
}

#[test]
fn what_says_so_goes_elsewhere_and_nothing_else_does() {
    let lost = losses(&[LOST, Answers, Answers]);
    let goes = elsewhere(&json!({}));
    assert_eq!(to(&lost.decide(&residents(&goes, &["h1", "h2"]))), [(0, "h3")], "beside those that stay");
    let stays = role("web", &json!({}));
    assert_eq!(lost.decide(&residents(&stays, &["h1"])), Decision::default());
    let mut stopped = residents(&goes, &["h1"]);
    stopped[0].stays = true;
    assert_eq!(lost.decide(&stopped), Decision::default());
    assert_eq!(losses(&[Answers; 3]).decide(&residents(&goes, &["h1"])), Decision::default());
}

#[test]
fn a_host_is_lost_only_after_a_while() {
    let briefly = losses(&[Contact::Silent(Duration::from_millis(500)), Answers, Answers]);
    assert!(!briefly.any());
    assert_eq!(briefly.next(), Some(Duration::from_millis(1500)));
    assert!(!losses(&[Connecting, Answers, Answers]).any());
    let exactly = losses(&[Contact::Silent(GRACE.silent), Answers, Answers]);
    assert_eq!((exactly.has("h1"), exactly.next()), (true, None));
    let away = losses(&[Contact::Away(Duration::from_secs(3)), Answers, Answers]);
    assert_eq!((away.any(), away.next()), (false, Some(Duration::from_secs(7))), "its agent is started anew");
    assert!(losses(&[AWAY, Answers, Answers]).has("h1"));
}

#[test]
fn an_exclusive_volume_waits_for_whoever_holds_its_permit() {
    let lost = losses(&[LOST, Answers, Answers]);
    let database = elsewhere(&json!({"volumes": {"data": volume("/data"), "logs": volume("/logs")}}));
    let decision = lost.decide(&residents(&database, &["h1"]));
    assert!(decision.relocations.is_empty());
    let expected = "dev/blog/web waits for host h1, which holds its volumes data, logs: it may still write to them, so nobody else may";
    assert_eq!(waits(&decision), [expected]);
}

#[test]
fn a_shared_volume_waits_unless_it_is_the_same_everywhere() {
    let lost = losses(&[LOST, Answers, Answers]);
    let mut share = volume("/share");
    share["access"] = json!("shared");
    let local = elsewhere(&json!({"volumes": {"share": share}}));
    assert_eq!(
        waits(&lost.decide(&residents(&local, &["h1"]))),
        ["dev/blog/web waits for host h1, where its volume share is"]
    );
    share["method"] = json!("nfs");
    let mounted = elsewhere(&json!({"volumes": {"share": share}}));
    assert_eq!(to(&lost.decide(&residents(&mounted, &["h1"]))), [(0, "h2")]);
}

#[test]
fn placement_decides_where_and_whether() {
    let lost = losses(&[LOST, Answers, Answers, Answers]);
    let spread = elsewhere(&json!({"placement": {"host": null, "spread": "zone"}}));
    assert_eq!(to(&lost.decide(&residents(&spread, &["h1", "h2"]))), [(0, "h3")], "h4 is in the zone of h2");
    let pinned = elsewhere(&json!({"placement": {"host": "h1", "spread": null}}));
    assert_eq!(
        waits(&lost.decide(&residents(&pinned, &["h1"]))),
        ["dev/blog/web waits for host h1: no host that it may be on takes anything new: h1 does not answer"]
    );
}

#[test]
fn where_most_hosts_are_out_of_reach_nothing_goes_anywhere() {
    let goes = elsewhere(&json!({}));
    for cut_off in [&[LOST, LOST, Answers][..], &[LOST, Connecting, Answers], &[LOST, LOST]] {
        let lost = losses(cut_off);
        let decision = lost.decide(&residents(&goes, &["h1"]));
        assert!(lost.alone().is_some() && decision.relocations.is_empty(), "{cut_off:?}: {decision:?}");
        assert!(waits(&decision)[0].contains("probably this server that is cut off"), "{decision:?}");
    }
    assert_eq!(losses(&[AWAY, AWAY, Answers]).alone(), None, "their hosts are heard of");
    let half = losses(&[LOST, Answers]);
    assert_eq!(half.alone(), None);
    assert_eq!(to(&half.decide(&residents(&goes, &["h1"]))), [(0, "h2")]);
}

#[test]
fn a_lease_is_waited_for_and_then_passed_on() {
    let lost = losses(&[LOST, Answers, Answers]);
    let with = |method: &str| {
        let mut data = volume("/data");
        data["method"] = json!(method);
        elsewhere(&json!({"fence": "lease", "volumes": {"data": data}}))
    };
    let bound = with("bind");
    let mut single = residents(&bound, &["h1"]);
    let unconfirmed = lost.decide(&single);
    assert_eq!(waits(&unconfirmed).len(), 1);
    assert!(waits(&unconfirmed)[0].contains("has not said"), "{unconfirmed:?}");
    single[0].lease = Some(Duration::from_secs(4));
    let running = lost.decide(&single);
    assert!(waits(&running)[0].contains("until its lease has ended"), "{running:?}");
    assert_eq!((to(&running), running.next), (vec![], Some(Duration::from_secs(4))));
    single[0].lease = Some(Duration::ZERO);
    assert_eq!(to(&lost.decide(&single)), [(0, "h2")]);
    assert!(to(&losses(&[LOST, LOST, Answers]).decide(&single)).is_empty(), "the server itself may be cut off");
    let local = with("local");
    let mut there = residents(&local, &["h1"]);
    there[0].lease = Some(Duration::ZERO);
    assert!(waits(&lost.decide(&there))[0].contains("where its volume data is"), "what it wrote lies there");
}

#[test]
fn what_was_on_a_host_that_is_given_up_goes_elsewhere_unless_its_data_was_lost_there() {
    let hosts = losses(&[Answers, Answers]);
    let role = role("db", &json!({"volumes": {"data": volume("/data")}}));
    let mut both = residents(&role, &["h9", "h9"]);
    let name = both[0].slot.to_string();
    // Whether it runs or is stopped by hand, and whatever `on_host_loss` says: there is nothing to wait for.
    (both[0].bereft, both[1].bereft) = (Some(vec!["data".to_owned()]), Some(Vec::new()));
    both[1].stays = true;
    let decision = hosts.decide(&both);
    assert_eq!(to(&decision), [(1, "h1")]);
    let expected =
        format!("{name} waits: its volume data was lost with host h9, and it does not start without unasked");
    assert_eq!(waits(&decision), [expected]);
    let alone = losses(&[LOST, LOST, Answers]).decide(&both);
    assert!(to(&alone).is_empty(), "a server that is cut off moves nothing: {alone:?}");
}
