//! Tiers of preference: over at once, back when it is stable.

use disco_proto::{Method, Query, Reason};

use crate::script::{SECOND, Script, added, dropped, mysql, mysql_query, with, withdraw};

fn near_then_far() -> Query {
    Query { prefer: vec!["zone".to_owned(), "dc".to_owned()], ..mysql_query() }
}

const HERE: [(&str, &str); 2] = [("zone", "a1"), ("dc", "a")];

#[test]
fn only_the_best_tier_is_delivered() {
    let mut script = Script::new();
    let provider = script.client("provider");
    let subscriber = script.client_with("subscriber", &HERE);
    script.provide(provider, with(mysql("far"), &[("zone", "b1"), ("dc", "b")]));
    assert_eq!(added(&script.require(subscriber, "db", near_then_far())), ["far"]);
    script.unrequire(subscriber, "db");
    script.provide(provider, with(mysql("near"), &[("zone", "a2"), ("dc", "a")]));
    script.provide(provider, with(mysql("here"), &HERE));
    assert_eq!(added(&script.require(subscriber, "db", near_then_far())), ["here"]);
}

#[test]
fn failing_over_is_immediate_and_failing_back_waits_until_the_better_tier_is_stable() {
    let mut script = Script::new();
    let provider = script.client("provider");
    let subscriber = script.client_with("subscriber", &HERE);
    let both = [provider, subscriber];
    script.provide(provider, with(mysql("far"), &[("zone", "b1"), ("dc", "b")]));
    script.provide(provider, with(mysql("here"), &HERE));
    script.require(subscriber, "db", near_then_far());
    script.ask(provider, Method::Withdraw(withdraw("here", Reason::Died))).unwrap();
    let over = script.changed(subscriber).unwrap();
    assert_eq!((added(&over), dropped(&over)), (vec!["far"], vec![("mysql/here", Reason::Died)]));

    // It comes back, goes again after nine seconds, and comes back once more: the ten seconds start anew.
    script.provide(provider, with(mysql("here"), &HERE));
    script.pass_pinging(9 * SECOND, &both);
    script.quiet(subscriber);
    script.ask(provider, Method::Withdraw(withdraw("here", Reason::Died))).unwrap();
    script.provide(provider, with(mysql("here"), &HERE));
    script.pass_pinging(9 * SECOND, &both);
    script.quiet(subscriber);
    script.pass_pinging(SECOND, &both);
    let back = script.changed(subscriber).unwrap();
    assert_eq!((added(&back), dropped(&back)), (vec!["here"], vec![("mysql/far", Reason::Unmatched)]));
}

#[test]
fn a_better_tier_is_taken_at_once_when_the_worse_one_goes() {
    let mut script = Script::new();
    let provider = script.client("provider");
    let subscriber = script.client_with("subscriber", &HERE);
    script.provide(provider, with(mysql("far"), &[("dc", "b")]));
    script.require(subscriber, "db", near_then_far());
    script.provide(provider, with(mysql("here"), &HERE));
    script.quiet(subscriber);
    script.ask(provider, Method::Withdraw(withdraw("far", Reason::Left))).unwrap();
    assert_eq!(added(&script.changed(subscriber).unwrap()), ["here"]);
}
