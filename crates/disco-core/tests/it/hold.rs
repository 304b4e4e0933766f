//! After a restart: nobody notices.

use std::collections::BTreeMap;

use disco_proto::{Health, Method, Query, Reason, Version, message::Change};

use crate::script::{SECOND, Script, added, dropped, mysql, mysql_query, with, withdraw};

fn known(change: &Change) -> BTreeMap<String, Version> {
    change.add.iter().map(|endpoint| (endpoint.key(), endpoint.version)).collect()
}

/// What a subscriber had before the restart.
fn before(provisions: &[disco_proto::Provision]) -> BTreeMap<String, Version> {
    let mut script = Script::new();
    let agent = script.client("agent");
    provisions.iter().for_each(|provision| script.provide(agent, provision.clone()));
    known(&script.require(agent, "db", mysql_query()))
}

#[test]
fn a_subscriber_keeps_what_it_has_until_its_provider_is_back() {
    let known = before(&[mysql("a")]);
    let mut script = Script::with(|_| {});
    let subscriber = script.client("subscriber");
    let change = script.require_knowing(subscriber, "db", mysql_query(), &known);
    assert!(!change.complete && change.drop.is_empty());
    let provider = script.client("provider");
    script.provide(provider, mysql("a"));
    script.quiet(subscriber);
    script.pass_pinging(15 * SECOND, &[subscriber, provider]);
    let change = script.changed(subscriber).unwrap();
    assert!(change.complete && change.add.is_empty() && change.update.is_empty() && change.drop.is_empty());
}

#[test]
fn what_nobody_claimed_is_lost_when_the_hold_is_over() {
    let known = before(&[mysql("a")]);
    let mut script = Script::with(|_| {});
    let subscriber = script.client("subscriber");
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    script.pass_pinging(14 * SECOND, &[subscriber]);
    script.quiet(subscriber);
    script.pass_pinging(SECOND, &[subscriber]);
    let change = script.changed(subscriber).unwrap();
    assert_eq!((dropped(&change), change.complete), (vec![("mysql/a", Reason::Lost)], true));
}

#[test]
fn what_a_provider_says_counts_at_once() {
    let known = before(&[mysql("a")]);
    let mut script = Script::with(|_| {});
    let (subscriber, provider) = (script.client("subscriber"), script.client("provider"));
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    script.ask(provider, Method::Withdraw(withdraw("a", Reason::Died))).unwrap();
    let change = script.changed(subscriber).unwrap();
    assert_eq!((dropped(&change), change.complete), (vec![("mysql/a", Reason::Died)], false));
}

#[test]
fn what_a_provider_took_back_is_told_to_whoever_comes_with_it_later() {
    let known = before(&[mysql("a"), mysql("b")]);
    let mut script = Script::with(|_| {});
    let provider = script.client("provider");
    script.ask(provider, Method::Withdraw(withdraw("a", Reason::Died))).unwrap();
    script.ask(provider, Method::Withdraw(withdraw("b", Reason::Left))).unwrap();
    script.provide(provider, mysql("b"));
    let subscriber = script.client("subscriber");
    let change = script.require_knowing(subscriber, "db", mysql_query(), &known);
    assert_eq!((dropped(&change), change.complete), (vec![("mysql/a", Reason::Died)], false));
}

#[test]
fn a_provider_that_falls_silent_again_is_not_dropped_before_the_hold_is_over() {
    let known = before(&[mysql("a")]);
    let mut script = Script::with(|_| {});
    let (subscriber, provider) = (script.client("subscriber"), script.client("provider"));
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    script.provide(provider, mysql("a"));
    script.disconnect(provider);
    script.pass_pinging(10 * SECOND, &[subscriber]);
    script.quiet(subscriber);
    script.pass_pinging(5 * SECOND, &[subscriber]);
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Lost)]);
}

#[test]
fn a_preferred_endpoint_is_not_replaced_by_one_that_merely_came_back_sooner() {
    let here = with(mysql("here"), &[("zone", "a")]);
    let far = with(mysql("far"), &[("zone", "b")]);
    let known = before(std::slice::from_ref(&here));
    let mut script = Script::with(|_| {});
    let provider = script.client("provider");
    let subscriber = script.client_with("subscriber", &[("zone", "a")]);
    let query = Query { prefer: vec!["zone".to_owned()], ..mysql_query() };
    script.provide(provider, far);
    let change = script.require_knowing(subscriber, "db", query, &known);
    assert!(change.add.is_empty() && change.drop.is_empty());
    script.provide(provider, here);
    script.quiet(subscriber);
    script.pass_pinging(20 * SECOND, &[subscriber, provider]);
    let change = script.changed(subscriber).unwrap();
    assert!(change.complete && change.add.is_empty() && change.drop.is_empty());
    script.quiet(subscriber);
}

#[test]
fn another_that_is_as_good_is_added_but_a_failing_one_is_not() {
    let known = before(&[mysql("a")]);
    let mut script = Script::with(|_| {});
    let (subscriber, provider) = (script.client("subscriber"), script.client("provider"));
    script.require_knowing(subscriber, "db", mysql_query(), &known);
    let mut failing = mysql("b");
    failing.health = Health::Failing;
    script.provide(provider, failing);
    script.quiet(subscriber);
    script.provide(provider, mysql("c"));
    assert_eq!(added(&script.changed(subscriber).unwrap()), ["c"]);
}
