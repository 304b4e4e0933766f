//! One owner an identity.

use disco_proto::{Code, Method, Reason};

use crate::script::{Script, mysql, mysql_query, withdraw};

fn incarnation(number: u64) -> disco_proto::Provision {
    let mut provision = mysql("a");
    provision.incarnation = number;
    provision
}

#[test]
fn another_host_is_refused() {
    let mut script = Script::new();
    let (here, there) = (script.client("here"), script.client("there"));
    script.provide(here, mysql("a"));
    assert_eq!(script.refused(there, Method::Provide(incarnation(9))), Code::Owned);
    assert_eq!(script.refused(there, Method::Withdraw(withdraw("a", Reason::Left))), Code::Owned);
}

#[test]
fn the_same_host_takes_over_silently_with_a_higher_incarnation() {
    let mut script = Script::new();
    let (old, new) = (script.client("host"), script.client("host"));
    let subscriber = script.client("subscriber");
    script.provide(old, incarnation(1));
    script.require(subscriber, "db", mysql_query());
    assert_eq!(script.refused(new, Method::Provide(incarnation(1))), Code::Stale);
    script.provide(new, incarnation(2));
    script.quiet(subscriber);
    assert_eq!(script.refused(old, Method::Provide(incarnation(1))), Code::Stale);
    // What the old one had no longer goes with it.
    script.ask(old, Method::Close).unwrap();
    script.quiet(subscriber);
    assert_eq!(script.core.view().provisions.len(), 1);
}

#[test]
fn the_same_host_takes_over_from_a_lost_connection_with_an_equal_incarnation() {
    let mut script = Script::new();
    let old = script.client("host");
    script.provide(old, incarnation(1));
    script.disconnect(old);
    let new = script.client("host");
    script.provide(new, incarnation(1));
    script.pass_pinging(10 * crate::script::SECOND, &[new]);
    assert_eq!(script.core.view().provisions.len(), 1);
}
