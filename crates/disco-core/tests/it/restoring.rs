//! A server that starts with a snapshot of the one before it, be it old or not.

use std::collections::BTreeMap;

use disco_proto::{
    Method, Reason,
    message::{Change, Opened},
    snapshot::Snapshot,
};

use crate::script::{SECOND, Script, added, dropped, mysql, mysql_query, withdraw};

struct Before {
    snapshot: Snapshot,
    opened: Opened,
    known: BTreeMap<String, disco_proto::Version>,
}

/// A provider of `a` and `b`, and what a subscriber had of it.
fn before() -> Before {
    let mut script = Script::new();
    let (provider, opened) = script.open("provider", &[], None);
    script.provide(provider, mysql("a"));
    script.provide(provider, mysql("b"));
    let subscriber = script.client("subscriber");
    let first = script.require(subscriber, "db", mysql_query());
    let known = first.add.iter().map(|endpoint| (endpoint.key(), endpoint.version)).collect();
    Before { snapshot: script.core.snapshot(), opened, known }
}

fn nothing(change: &Change) -> bool {
    change.add.is_empty() && change.update.is_empty() && change.drop.is_empty()
}

#[test]
fn a_session_is_resumed_over_a_restart_and_nobody_notices() {
    let Before { snapshot, opened, known } = before();
    let mut script = Script::after(&snapshot, |_| {});
    let subscriber = script.client("subscriber");
    assert!(nothing(&script.require_knowing(subscriber, "db", mysql_query(), &known)));
    let (provider, resumed) = script.open("provider", &[], Some(&opened));
    assert!(resumed.resumed);
    assert_eq!((resumed.session, resumed.provides.len()), (opened.session, 2));
    script.provide(provider, mysql("a"));
    script.provide(provider, mysql("b"));
    script.pass_pinging(20 * SECOND, &[provider, subscriber]);
    let change = script.changed(subscriber).unwrap();
    assert!(change.complete && nothing(&change));
    script.quiet(subscriber);
}

#[test]
fn a_stale_snapshot_brings_nothing_back_from_the_dead() {
    // After the snapshot, `a` was withdrawn and everyone knew; then the server was killed.
    let Before { snapshot, opened, mut known } = before();
    known.remove("mysql/a");
    let mut script = Script::after(&snapshot, |_| {});
    let (subscriber, newcomer) = (script.client("subscriber"), script.client("newcomer"));
    assert!(nothing(&script.require_knowing(subscriber, "db", mysql_query(), &known)));
    assert!(nothing(&script.require(newcomer, "db", mysql_query())));
    let (provider, _) = script.open("provider", &[], Some(&opened));
    script.provide(provider, mysql("b"));
    assert_eq!(added(&script.changed(newcomer).unwrap()), ["b"]);
    script.pass_pinging(20 * SECOND, &[provider, subscriber, newcomer]);
    assert!(nothing(&script.changed(subscriber).unwrap()) && nothing(&script.changed(newcomer).unwrap()));
    assert_eq!(script.core.view().provisions.len(), 1, "what its provider did not say again is forgotten");
    assert_eq!(script.core.stats().provisions.unclaimed, 0);
}

#[test]
fn a_snapshot_refuses_nobody() {
    let Before { snapshot, .. } = before();
    let mut script = Script::after(&snapshot, |_| {});
    let other = script.client("another-host");
    script.provide(other, mysql("a"));
    script.ask(other, Method::Withdraw(withdraw("b", Reason::Left))).unwrap();
    script.pass_pinging(20 * SECOND, &[other]);
    assert_eq!(script.core.provisions().len(), 1);
}

#[test]
fn what_one_host_does_not_claim_is_lost_when_the_hold_is_over() {
    let Before { snapshot, known, .. } = before();
    let mut script = Script::after(&snapshot, |_| {});
    let subscriber = script.client("subscriber");
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    script.pass_pinging(16 * SECOND, &[subscriber]);
    let lost = vec![("mysql/a", Reason::Lost), ("mysql/b", Reason::Lost)];
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), lost);
}

#[test]
fn what_many_hosts_do_not_claim_goes_through_the_brake() {
    let mut script = Script::new();
    for number in 0..10 {
        let conn = script.client(&format!("host{number}"));
        script.provide(conn, mysql(&number.to_string()));
    }
    let subscriber = script.client("subscriber");
    let first = script.require(subscriber, "db", mysql_query());
    let known = first.add.iter().map(|endpoint| (endpoint.key(), endpoint.version)).collect();
    let mut script = Script::after(&script.core.snapshot(), |_| {});
    let (subscriber, newcomer) = (script.client("subscriber"), script.client("newcomer"));
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    script.require(newcomer, "db", mysql_query());
    script.pass_pinging(16 * SECOND, &[subscriber, newcomer]);
    let (kept, none) = (script.changed(subscriber).unwrap(), script.changed(newcomer).unwrap());
    assert!(kept.complete && nothing(&kept) && nothing(&none));
    assert_eq!(script.core.stats().brake.unwrap().suspects, 10);
    script.pass_pinging(30 * SECOND, &[subscriber, newcomer]);
    assert_eq!(script.changed(subscriber).unwrap().drop.len(), 1, "one a window");
    script.quiet(newcomer);
}

#[test]
fn a_parked_session_is_waited_for_over_a_restart() {
    let mut script = Script::new();
    let (agent, opened) = script.open("agent", &[], None);
    script.provide(agent, mysql("a"));
    script.ask(agent, Method::Park(disco_proto::message::Park { r#for: 60_000 })).unwrap();
    script.disconnect(agent);
    script.pass(20 * SECOND);
    let mut script = Script::after(&script.core.snapshot(), |_| {});
    script.pass(39 * SECOND);
    let (_, resumed) = script.open("agent", &[], Some(&opened));
    assert_eq!((resumed.resumed, resumed.provides.len()), (true, 1));
}

#[test]
fn the_number_of_changes_moves_with_what_a_snapshot_shows() {
    let mut script = Script::new();
    let (conn, _) = script.open("agent", &[], None);
    let before = script.core.changes();
    script.provide(conn, mysql("a"));
    assert_ne!(script.core.changes(), before);
    let before = script.core.changes();
    script.provide(conn, mysql("a"));
    script.pass_pinging(SECOND, &[conn]);
    assert_eq!(script.core.changes(), before);
}
