//! More than a server takes is refused, says which, and changes nothing. And the heartbeat grows with the crowd.

use std::time::Duration;

use disco_core::Options;
use disco_proto::{
    Answer, Code, Limit, Method,
    message::{List, Open, Require},
};

use crate::script::{SECOND, Script, mysql, mysql_query, name};

fn script(set: impl FnOnce(&mut Options)) -> Script {
    Script::with(|options| {
        options.hold = Duration::ZERO;
        set(options);
    })
}

fn refused(script: &mut Script, conn: disco_core::Conn, method: Method) -> Option<Limit> {
    let failure = script.ask(conn, method).expect_err("a refusal");
    assert_eq!(failure.code, Code::Limit);
    failure.limit
}

#[test]
fn provisions_of_a_session_and_of_a_topic_are_bounded() {
    let mut script = script(|options| (options.limits.provisions, options.limits.topic) = (2, 3));
    let (one, other) = (script.client("one"), script.client("other"));
    script.provide(one, mysql("a"));
    script.provide(one, mysql("b"));
    let before = script.core.view();
    assert_eq!(refused(&mut script, one, Method::Provide(mysql("c"))), Some(Limit::Provisions));
    assert_eq!(script.core.view(), before);
    // What is there already may change.
    script.provide(one, mysql("b"));
    script.provide(other, mysql("c"));
    assert_eq!(refused(&mut script, other, Method::Provide(mysql("d"))), Some(Limit::Topic));
    let mut elsewhere = mysql("d");
    elsewhere.name = name("prod/blog/mysql/mysql");
    script.provide(other, elsewhere);
}

#[test]
fn requirements_of_a_session_are_bounded() {
    let mut script = script(|options| options.limits.requirements = 1);
    let conn = script.client("x");
    script.require(conn, "a", mysql_query());
    let require = Require { id: "b".to_owned(), query: mysql_query(), known: Default::default() };
    assert_eq!(refused(&mut script, conn, Method::Require(require)), Some(Limit::Requirements));
    script.require(conn, "a", mysql_query());
    script.unrequire(conn, "a");
    script.require(conn, "b", mysql_query());
}

#[test]
fn sessions_of_a_server_are_bounded() {
    let mut script = script(|options| options.limits.sessions = 1);
    let (first, opened) = script.open("x", &[], None);
    let conn = script.connect();
    let open = Open {
        protocol: disco_proto::PROTOCOL.to_owned(),
        agent: "y".to_owned(),
        attributes: Default::default(),
        window: None,
        resume: None,
    };
    assert_eq!(refused(&mut script, conn, Method::Open(open)), Some(Limit::Sessions));
    assert_eq!(script.closed, [conn]);
    // Coming back is not one more.
    script.disconnect(first);
    script.open("x", &[], Some(&opened));
}

#[test]
fn requests_of_a_connection_are_bounded_over_time_and_others_go_on() {
    let mut script = script(|options| options.limits.messages = 100);
    let (loud, quiet) = (script.client("loud"), script.client("quiet"));
    let resolve = || Method::Resolve(mysql_query());
    for _ in 0..200 {
        script.ask(loud, resolve()).unwrap();
    }
    assert_eq!(refused(&mut script, loud, resolve()), Some(Limit::Messages));
    script.ask(loud, Method::Ping).unwrap();
    script.ask(quiet, resolve()).unwrap();
    script.pass(SECOND / 2);
    for _ in 0..50 {
        script.ask(loud, resolve()).unwrap();
    }
    assert_eq!(refused(&mut script, loud, resolve()), Some(Limit::Messages));
    for _ in 0..2 {
        script.ask(quiet, Method::List(List::default())).unwrap();
    }
    assert_eq!(refused(&mut script, quiet, Method::List(List::default())), Some(Limit::Messages));
    assert_eq!(script.core.stats().refusals[&(Code::Limit, Some(Limit::Messages))], 3);
}

#[test]
fn the_heartbeat_grows_with_the_crowd_and_each_client_is_held_to_what_it_was_told() {
    let mut script = script(|options| options.crowd = 2);
    let beat = |script: &mut Script, conn| match script.ask(conn, Method::Ping) {
        Ok(Answer::Pong(pong)) => pong.heartbeat,
        other => panic!("{other:?}"),
    };
    let (early, opened) = script.open("early", &[], None);
    assert_eq!(opened.heartbeat, 1000);
    script.client("second");
    let (late, opened) = script.open("late", &[], None);
    assert_eq!(opened.heartbeat, 2000);
    script.provide(early, mysql("early"));
    script.provide(late, mysql("late"));
    // Nobody told the early one: three of its own heartbeats.
    script.pass(Duration::from_millis(3500));
    let left: Vec<String> = script.core.provisions().iter().map(|one| one.endpoint.instance.clone()).collect();
    assert_eq!(left, ["late"]);
    assert_eq!(beat(&mut script, late), 1000, "it is alone now");
    script.pass(Duration::from_millis(3500));
    assert!(script.core.provisions().is_empty());
}

#[test]
fn numbers_say_what_is_there_and_what_happened() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.require(subscriber, "db", mysql_query());
    script.provide(provider, mysql("a"));
    script.changed(subscriber).unwrap();
    let mut failing = mysql("b");
    failing.health = disco_proto::Health::Failing;
    script.provide(provider, failing);
    let stats = script.core.stats();
    assert_eq!((stats.sessions, stats.connected, stats.connections, stats.requirements), (2, 2, 2, 1));
    assert_eq!((stats.provisions.passing, stats.provisions.failing, stats.deliveries), (1, 1, 2));
    script.disconnect(provider);
    assert_eq!(script.core.stats().connected, 1);
    script.pass_pinging(4 * SECOND, &[subscriber]);
    let stats = script.core.stats();
    assert_eq!((stats.sessions, stats.provisions, stats.drops[&disco_proto::Reason::Lost]), (1, Default::default(), 2));
}
