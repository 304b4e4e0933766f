//! What a watcher of the whole registry sees.

use disco_core::{Filter, What};
use disco_proto::{Health, Method, Reason, message::Withdraw};

use crate::script::{SECOND, Script, mysql, mysql_query, withdraw};

fn seen(script: &mut Script) -> Vec<(u64, What, String)> {
    let seen = std::mem::take(&mut script.observed);
    seen.into_iter().map(|observed| (observed.rev, observed.what, observed.endpoint.instance.clone())).collect()
}

#[test]
fn every_change_is_seen_once_with_its_revision_and_reason() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.provide(provider, mysql("a"));
    let mut failing = mysql("a");
    failing.health = Health::Failing;
    script.provide(provider, failing);
    script.require(subscriber, "db", mysql_query());
    let going = Withdraw { successor_by: Some(1000), ..withdraw("a", Reason::Draining) };
    script.ask(provider, Method::Withdraw(going)).unwrap();
    script.pass_pinging(2 * SECOND, &[provider, subscriber]);
    let expected = [
        (1, What::Added),
        (2, What::Updated),
        (3, What::Leaving(Reason::Draining)),
        (4, What::Dropped(Reason::Draining)),
    ];
    assert_eq!(seen(&mut script), expected.map(|(rev, what)| (rev, what, "a".to_owned())));
    assert_eq!(script.core.rev(), 4);
}

#[test]
fn a_silent_takeover_is_nothing_to_see() {
    let mut script = Script::new();
    let old = script.client("host");
    script.provide(old, mysql("a"));
    script.disconnect(old);
    let new = script.client("host");
    script.provide(new, mysql("a"));
    script.pass_pinging(10 * SECOND, &[new]);
    assert_eq!(seen(&mut script), [(1, What::Added, "a".to_owned())]);
    script.disconnect(new);
    script.pass(4 * SECOND);
    assert_eq!(seen(&mut script), [(3, What::Dropped(Reason::Lost), "a".to_owned())]);
}

#[test]
fn a_part_of_the_registry_is_what_the_filter_says() {
    let mut script = Script::new();
    let provider = script.client("provider");
    for text in ["dev/blog/mysql/mysql", "dev/blog/web/http", "prod/blog/mysql/mysql"] {
        let mut provision = mysql("a");
        provision.name = crate::script::name(text);
        script.provide(provider, provision);
    }
    let count = |filter: Filter| script.core.endpoints(&filter).count();
    assert_eq!(count(Filter::default()), 3);
    assert_eq!(count(Filter { environment: Some("dev".to_owned()), ..Filter::default() }), 2);
    assert_eq!(count(Filter { role: Some("mysql".to_owned()), ..Filter::default() }), 2);
    assert_eq!(count(Filter { endpoint: Some("http".to_owned()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { service: Some("shop".to_owned()), ..Filter::default() }), 0);
}
