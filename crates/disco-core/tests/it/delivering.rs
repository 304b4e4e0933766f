//! What subscribers are told, and when.

use disco_proto::{Answer, Code, Condition, Failure, Health, Message, Method, Query, Reason, encode, limits};

use crate::script::{Script, added, dropped, mysql, mysql_query, name, with, withdraw};

#[test]
fn a_requirement_is_answered_with_what_is_there_and_told_what_comes() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    let first = script.require(subscriber, "db", mysql_query());
    assert_eq!((first.seq, first.complete, added(&first)), (1, true, vec!["a"]));
    script.provide(provider, mysql("b"));
    let change = script.changed(subscriber).unwrap();
    assert_eq!((change.seq, added(&change)), (2, vec!["b"]));
    script.ask(provider, Method::Withdraw(withdraw("a", Reason::Died))).unwrap();
    let change = script.changed(subscriber).unwrap();
    assert_eq!((change.seq, dropped(&change)), (3, vec![("mysql/a", Reason::Died)]));
    script.quiet(subscriber);
}

#[test]
fn a_slow_subscriber_skips_what_was_true_in_between() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.require(subscriber, "db", mysql_query());
    script.provide(provider, mysql("a"));
    let (id, _) = script.told(subscriber).unwrap();
    for port in 1..100 {
        let mut changed = mysql("b");
        changed.port = port;
        script.provide(provider, changed);
    }
    script.ask(provider, Method::Withdraw(withdraw("a", Reason::Left))).unwrap();
    script.quiet(subscriber);
    script.receive(subscriber, id, Ok(Answer::Done {}));
    let change = script.changed(subscriber).unwrap();
    assert_eq!((change.seq, change.add[0].port, dropped(&change)), (3, 99, vec![("mysql/a", Reason::Left)]));
    script.quiet(subscriber);
}

#[test]
fn one_session_has_a_bounded_number_of_messages_under_way() {
    let mut script = Script::with(|options| {
        options.hold = std::time::Duration::ZERO;
        options.in_flight = 4;
    });
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    for number in 0..10 {
        script.require(subscriber, &format!("db{number}"), mysql_query());
    }
    script.provide(provider, mysql("a"));
    let waiting: Vec<_> = std::iter::from_fn(|| script.told(subscriber)).collect();
    assert_eq!(waiting.len(), 4);
    let mut told = 4;
    for (id, _) in waiting {
        script.receive(subscriber, id, Ok(Answer::Done {}));
    }
    while script.changed(subscriber).is_some() {
        told += 1;
    }
    assert_eq!(told, 10);
}

#[test]
fn a_requirement_that_ends_unanswered_makes_room_for_the_next() {
    let mut script = Script::with(|options| {
        options.hold = std::time::Duration::ZERO;
        options.in_flight = 1;
    });
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    for id in ["one", "two", "three"] {
        script.require(subscriber, id, mysql_query());
    }
    script.provide(provider, mysql("a"));
    assert!(script.told(subscriber).is_some());
    script.quiet(subscriber);
    script.unrequire(subscriber, "one");
    assert!(script.told(subscriber).is_some());
    script.quiet(subscriber);
    // Required anew: its answer says what the change under way would have.
    script.require(subscriber, "two", mysql_query());
    assert!(script.told(subscriber).is_some());
}

#[test]
fn nothing_is_told_when_nothing_changes() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.provide(provider, mysql("a"));
    script.quiet(subscriber);
}

#[test]
fn failing_endpoints_are_delivered_marked_while_nothing_passes() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    let failing = |instance| {
        let mut provision = mysql(instance);
        provision.health = Health::Failing;
        provision
    };
    script.provide(provider, mysql("a"));
    script.provide(provider, failing("b"));
    assert_eq!(added(&script.require(subscriber, "db", mysql_query())), ["a"]);
    script.provide(provider, failing("a"));
    let change = script.changed(subscriber).unwrap();
    assert_eq!((change.update[0].health, added(&change)), (Health::Failing, vec!["b"]));
    script.provide(provider, mysql("b"));
    let change = script.changed(subscriber).unwrap();
    assert_eq!(change.update[0].health, Health::Passing);
    assert_eq!(dropped(&change), [("mysql/a", Reason::Unmatched)]);
}

#[test]
fn conditions_admit_and_refuse_and_follow_changed_attributes() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    let mut query = mysql_query();
    query.r#match.insert("version".to_owned(), Condition::In(vec!["10".to_owned(), "11".to_owned()]));
    query.r#match.insert("zone".to_owned(), Condition::Not(vec!["b".to_owned()]));
    query.r#match.insert("backup".to_owned(), Condition::Exists(false));
    script.provide(provider, with(mysql("old"), &[("version", "9")]));
    script.provide(provider, with(mysql("far"), &[("version", "10"), ("zone", "b")]));
    script.provide(provider, with(mysql("copy"), &[("version", "10"), ("backup", "yes")]));
    script.provide(provider, with(mysql("good"), &[("version", "10")]));
    assert_eq!(added(&script.require(subscriber, "db", query)), ["good"]);
    script.provide(provider, with(mysql("good"), &[("version", "12")]));
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/good", Reason::Unmatched)]);
    script.provide(provider, with(mysql("old"), &[("version", "11")]));
    assert_eq!(added(&script.changed(subscriber).unwrap()), ["old"]);
}

#[test]
fn any_role_may_be_asked_for_and_the_subscriber_itself_never_matches() {
    let mut script = Script::new();
    let agent = script.client("agent");
    script.provide(agent, mysql("a"));
    let mut backup = mysql("b");
    backup.name = name("dev/blog/mysql-backup/mysql");
    script.provide(agent, backup);
    let any = Query { role: "*".to_owned(), instance: Some("b".to_owned()), ..mysql_query() };
    assert_eq!(added(&script.require(agent, "any", any)), ["a"]);
    assert_eq!(added(&script.require(agent, "master", mysql_query())), ["a"]);
}

#[test]
fn environments_do_not_see_each_other() {
    let mut script = Script::new();
    let agent = script.client("agent");
    script.provide(agent, mysql("a"));
    let prod = Query { environment: "prod".to_owned(), ..mysql_query() };
    assert!(script.require(agent, "db", prod).add.is_empty());
}

#[test]
fn a_subscriber_that_missed_something_gets_everything_anew() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.require(subscriber, "db", mysql_query());
    script.provide(provider, mysql("a"));
    let (id, _) = script.told(subscriber).unwrap();
    script.receive(subscriber, id, Err(Failure::new(Code::Gap, "3 follows 1")));
    assert!(matches!(script.told(subscriber), Some((None, Method::Reset(_)))));
    let Some((id, Method::Snapshot(snapshot))) = script.told(subscriber) else { panic!("no snapshot") };
    assert_eq!((snapshot.seq, snapshot.endpoints.len(), snapshot.complete), (1, 1, true));
    script.provide(provider, mysql("b"));
    script.quiet(subscriber);
    script.receive(subscriber, id, Ok(Answer::Done {}));
    assert_eq!(script.changed(subscriber).unwrap().seq, 2);
}

#[test]
fn a_set_too_large_for_a_line_comes_in_several_and_shrinks_last() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    let filler = "x".repeat(1000);
    for number in 0..600 {
        let provision = with(mysql(&format!("a{number:04}")), &[("filler", &filler)]);
        script.provide(provider, provision);
    }
    let first = script.require(subscriber, "db", mysql_query());
    assert!(!first.complete);
    let mut endpoints = first.add.len();
    let mut last = first;
    while let Some(change) = script.changed(subscriber) {
        let mut line = Vec::new();
        let answer = Answer::Change(change.clone());
        encode(&Message::Answer { id: Some(1.into()), result: Ok(answer) }, &mut line);
        assert!(line.len() <= limits::LINE);
        assert_eq!(change.seq, last.seq + 1);
        endpoints += change.add.len();
        last = change;
    }
    assert_eq!((endpoints, last.complete), (600, true));
}

#[test]
fn an_explanation_names_what_keeps_each_provider_away() {
    let mut script = Script::new();
    let provider = script.client("provider");
    script.provide(provider, with(mysql("near"), &[("zone", "a")]));
    script.provide(provider, with(mysql("far"), &[("zone", "b")]));
    let mut failing = mysql("ill");
    failing.health = Health::Failing;
    script.provide(provider, failing);
    let mut backup = mysql("backup");
    backup.name = name("dev/blog/mysql-backup/mysql");
    script.provide(provider, backup);
    let query = Query { prefer: vec!["zone".to_owned()], ..mysql_query() };
    let verdicts = script.core.explain(&query, &crate::script::texts(&[("zone", "a")]));
    let mut words: Vec<String> =
        verdicts.iter().map(|(endpoint, verdict)| format!("{}: {verdict}", endpoint.instance)).collect();
    words.sort();
    assert_eq!(
        words,
        [
            "backup: its role is mysql-backup, not mysql",
            "far: others have the preferred zone",
            "ill: it is failing, and others are not",
            "near: chosen",
        ]
    );
}
