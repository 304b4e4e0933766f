//! Withdrawals: acknowledged, with a deadline, with a successor.

use disco_proto::{Method, Reason, message::Withdraw};

use crate::script::{SECOND, Script, added, dropped, mysql, mysql_query, withdraw};

fn waiting(instance: &str, seconds: u64) -> Method {
    Method::Withdraw(Withdraw { wait: Some(seconds * 1000), ..withdraw(instance, Reason::Left) })
}

#[test]
fn it_is_answered_when_everyone_has_applied_it_not_when_they_have_received_it() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    let first = script.require(subscriber, "db", mysql_query());
    script.applied(subscriber, "db", first.seq);
    let id = script.say(provider, waiting("a", 10));
    let change = script.changed(subscriber).unwrap();
    assert_eq!(script.withdrawn(provider, &id), None);
    script.applied(subscriber, "db", change.seq);
    assert_eq!(script.withdrawn(provider, &id).unwrap().unapplied, Vec::<String>::new());
}

#[test]
fn those_that_had_not_applied_it_by_the_deadline_are_named() {
    let mut script = Script::new();
    let (provider, quick, slow) = (script.client("provider"), script.client("quick"), script.client("slow"));
    script.provide(provider, mysql("a"));
    script.require(quick, "web.db", mysql_query());
    script.require(slow, "cron.db", mysql_query());
    let id = script.say(provider, waiting("a", 2));
    let change = script.changed(quick).unwrap();
    script.applied(quick, "web.db", change.seq);
    script.changed(slow).unwrap();
    script.pass_pinging(SECOND, &[provider, quick, slow]);
    assert_eq!(script.withdrawn(provider, &id), None);
    script.pass_pinging(SECOND, &[provider, quick, slow]);
    assert_eq!(script.withdrawn(provider, &id).unwrap().unapplied, ["cron.db@slow"]);
}

#[test]
fn a_subscriber_that_ends_counts_as_having_applied() {
    let mut script = Script::new();
    let (provider, one, other) = (script.client("provider"), script.client("one"), script.client("other"));
    script.provide(provider, mysql("a"));
    script.require(one, "db", mysql_query());
    script.require(other, "db", mysql_query());
    let id = script.say(provider, waiting("a", 10));
    script.unrequire(one, "db");
    assert_eq!(script.withdrawn(provider, &id), None);
    script.ask(other, Method::Close).unwrap();
    assert!(script.withdrawn(provider, &id).unwrap().unapplied.is_empty());
}

#[test]
fn withdrawing_what_nobody_uses_or_provides_is_answered_at_once() {
    let mut script = Script::new();
    let provider = script.client("provider");
    script.provide(provider, mysql("a"));
    let id = script.say(provider, waiting("a", 10));
    assert!(script.withdrawn(provider, &id).is_some());
    let id = script.say(provider, waiting("a", 10));
    assert!(script.withdrawn(provider, &id).is_some());
}

#[test]
fn asking_again_after_a_lost_answer_still_waits_for_those_who_use_it() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.say(provider, waiting("a", 10));
    let change = script.changed(subscriber).unwrap();
    let again = script.say(provider, waiting("a", 10));
    assert_eq!(script.withdrawn(provider, &again), None);
    script.applied(subscriber, "db", change.seq);
    assert!(script.withdrawn(provider, &again).unwrap().unapplied.is_empty());
}

#[test]
fn a_move_is_one_replacing_change_and_never_an_empty_set() {
    let mut script = Script::new();
    let (old, new, subscriber) = (script.client("old"), script.client("new"), script.client("subscriber"));
    script.provide(old, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    let going = Withdraw { wait: Some(60_000), successor_by: Some(30_000), ..withdraw("a", Reason::Draining) };
    let id = script.say(old, Method::Withdraw(going));
    script.quiet(subscriber);
    script.provide(new, mysql("b"));
    let change = script.changed(subscriber).unwrap();
    assert_eq!((added(&change), dropped(&change)), (vec!["b"], vec![("mysql/a", Reason::Draining)]));
    assert_eq!(script.withdrawn(old, &id), None);
    script.applied(subscriber, "db", change.seq);
    assert!(script.withdrawn(old, &id).unwrap().unapplied.is_empty());
    assert_eq!(script.core.view().provisions.len(), 1);
}

#[test]
fn without_a_successor_it_goes_when_its_time_is_over() {
    let mut script = Script::new();
    let (old, subscriber) = (script.client("old"), script.client("subscriber"));
    script.provide(old, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    let going = Withdraw { successor_by: Some(2000), ..withdraw("a", Reason::Draining) };
    script.ask(old, Method::Withdraw(going)).unwrap();
    script.pass_pinging(SECOND, &[old, subscriber]);
    script.quiet(subscriber);
    script.pass_pinging(SECOND, &[old, subscriber]);
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Draining)]);
}

#[test]
fn where_others_are_there_a_draining_endpoint_goes_at_once() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.provide(provider, mysql("b"));
    script.require(subscriber, "db", mysql_query());
    let going = Withdraw { successor_by: Some(30_000), ..withdraw("a", Reason::Draining) };
    script.ask(provider, Method::Withdraw(going)).unwrap();
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Draining)]);
}

#[test]
fn what_is_provided_again_is_no_longer_going() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    let id = script.say(provider, waiting("a", 10));
    let change = script.changed(subscriber).unwrap();
    assert_eq!(change.drop.len(), 1);
    script.provide(provider, mysql("a"));
    assert_eq!(script.withdrawn(provider, &id).unwrap().unapplied, ["db@subscriber"]);
    assert_eq!(added(&script.changed(subscriber).unwrap()), ["a"]);
}
