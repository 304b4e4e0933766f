//! Sessions: windows, silence, resuming, parking.

use std::{collections::BTreeMap, time::Duration};

use disco_core::Input;
use disco_proto::{
    Answer, Code, Message, Method, Reason,
    message::{Open, Opened, Park},
};

use crate::script::{SECOND, Script, dropped, mysql, mysql_query, withdraw};

#[test]
fn an_ended_connection_is_lost_after_the_window_and_not_before() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.disconnect(provider);
    script.pass_pinging(Duration::from_millis(2900), &[subscriber]);
    script.quiet(subscriber);
    script.pass_pinging(Duration::from_millis(100), &[subscriber]);
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Lost)]);
}

#[test]
fn silence_expires_after_three_heartbeats() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.pass_pinging(Duration::from_millis(2900), &[subscriber]);
    script.quiet(subscriber);
    script.pass_pinging(Duration::from_millis(200), &[subscriber]);
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Expired)]);
    assert_eq!(script.closed, [provider]);
}

#[test]
fn closing_a_session_withdraws_everything() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.ask(provider, Method::Close).unwrap();
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Left)]);
    assert_eq!(script.closed, [provider]);
}

#[test]
fn a_session_resumed_within_its_window_loses_nothing_and_replays_nothing() {
    let mut script = Script::new();
    let (provider, opened) = script.open("provider", &[], None);
    let (subscriber, other) = script.open("subscriber", &[], None);
    script.provide(provider, mysql("a"));
    let first = script.require(subscriber, "db", mysql_query());
    script.disconnect(provider);
    script.disconnect(subscriber);
    script.pass(SECOND);
    let (provider, resumed) = script.open("provider", &[], Some(&opened));
    assert!(resumed.resumed);
    assert_eq!((resumed.provides.len(), resumed.session), (1, opened.session));
    script.provide(provider, mysql("a"));
    script.provide(provider, mysql("b"));
    let (subscriber, resumed) = script.open("subscriber", &[], Some(&other));
    assert!(resumed.resumed);
    script.quiet(subscriber);
    let known: BTreeMap<_, _> = first.add.iter().map(|endpoint| (endpoint.key(), endpoint.version)).collect();
    let change = script.require_knowing(subscriber, "db", mysql_query(), &known);
    assert_eq!((crate::script::added(&change), change.drop.len(), change.update.len()), (vec!["b"], 0, 0));
}

#[test]
fn the_newest_connection_of_a_session_wins() {
    let mut script = Script::new();
    let (old, opened) = script.open("provider", &[], None);
    script.provide(old, mysql("a"));
    let (new, resumed) = script.open("provider", &[], Some(&opened));
    assert!(resumed.resumed);
    assert_eq!(script.closed, [old]);
    let id = script.say(old, Method::Withdraw(withdraw("a", Reason::Left)));
    assert!(script.answer(old, &id).is_none());
    script.disconnect(old);
    script.pass_pinging(10 * SECOND, &[new]);
    assert_eq!(script.core.view().provisions.len(), 1);
}

#[test]
fn a_wrong_token_starts_a_session_of_its_own() {
    let mut script = Script::new();
    let (provider, opened) = script.open("provider", &[], None);
    script.provide(provider, mysql("a"));
    let forged = Opened { token: "0".repeat(64), ..opened };
    let (_, fresh) = script.open("thief", &[], Some(&forged));
    assert!(!fresh.resumed && fresh.provides.is_empty() && fresh.session != forged.session);
}

#[test]
fn a_parked_session_may_be_away_for_longer_once() {
    let mut script = Script::new();
    let (provider, opened) = script.open("agent", &[], None);
    script.provide(provider, mysql("a"));
    script.ask(provider, Method::Park(Park { r#for: 60_000 })).unwrap();
    script.disconnect(provider);
    script.pass(59 * SECOND);
    let (provider, resumed) = script.open("agent", &[], Some(&opened));
    assert!(resumed.resumed);
    script.disconnect(provider);
    script.pass(3 * SECOND);
    assert!(script.core.view().provisions.is_empty());
}

#[test]
fn a_requirement_that_is_not_claimed_after_a_resume_is_forgotten() {
    let mut script = Script::new();
    let (subscriber, opened) = script.open("subscriber", &[], None);
    script.require(subscriber, "db", mysql_query());
    script.disconnect(subscriber);
    let (subscriber, _) = script.open("subscriber", &[], Some(&opened));
    script.pass_pinging(2 * SECOND, &[subscriber]);
    assert_eq!(script.core.view().requirements.len(), 1);
    script.pass_pinging(SECOND, &[subscriber]);
    assert!(script.core.view().requirements.is_empty());
}

#[test]
fn a_server_that_slept_does_not_blame_its_clients() {
    let mut script = Script::new();
    let (provider, subscriber) = (script.client("provider"), script.client("subscriber"));
    script.provide(provider, mysql("a"));
    script.require(subscriber, "db", mysql_query());
    script.pass_pinging(SECOND, &[provider, subscriber]);
    // Stopped for a minute: nothing was called, and the first thing that is, is late.
    script.now += 60 * SECOND;
    script.input(Input::Tick);
    script.pass_pinging(SECOND, &[provider, subscriber]);
    script.quiet(subscriber);
    // Silence that goes on afterwards counts.
    script.pass_pinging(4 * SECOND, &[subscriber]);
    assert_eq!(dropped(&script.changed(subscriber).unwrap()), [("mysql/a", Reason::Expired)]);
}

#[test]
fn a_session_comes_first_and_once_and_in_a_known_protocol() {
    let mut script = Script::new();
    let conn = script.connect();
    assert_eq!(script.refused(conn, Method::Provide(mysql("a"))), Code::Session);
    let open = |protocol: &str| {
        Method::Open(Open {
            protocol: protocol.to_owned(),
            agent: "x".to_owned(),
            attributes: BTreeMap::new(),
            window: None,
            resume: None,
        })
    };
    assert!(script.ask(conn, open("disco/1")).is_ok());
    assert_eq!(script.refused(conn, open("disco/1")), Code::Session);
    let conn = script.connect();
    assert_eq!(script.refused(conn, open("disco/9")), Code::Protocol);
    assert_eq!(script.closed, [conn]);
}

#[test]
fn a_connection_that_never_opens_a_session_is_closed() {
    let mut script = Script::new();
    let conn = script.connect();
    script.pass(3 * SECOND);
    assert_eq!(script.closed, [conn]);
}

#[test]
fn what_only_servers_say_is_refused_and_strange_answers_are_ignored() {
    let mut script = Script::new();
    let conn = script.client("x");
    let reset = disco_proto::message::Reset { id: "db".to_owned(), why: "because".to_owned() };
    assert_eq!(script.refused(conn, Method::Reset(reset)), Code::Method);
    script.receive(conn, Some(77.into()), Ok(Answer::Done {}));
    script.receive(conn, None, Ok(Answer::Done {}));
    script.quiet(conn);
}

#[test]
fn a_server_that_stops_sends_its_clients_away() {
    let mut script = Script::new();
    let conn = script.client("x");
    script.input(Input::Stopping { retry_after: SECOND });
    assert!(matches!(script.told(conn), Some((None, Method::Drain(drain))) if drain.retry_after == 1000));
    assert_eq!(script.closed, [conn]);
    let ping = Message::Call { id: None, method: Method::Ping };
    script.input(Input::Received(conn, Box::new(ping)));
}

#[test]
fn who_was_away_hears_why_something_went() {
    let mut script = Script::new();
    let provider = script.client("provider");
    for (instance, reason) in [("a", Reason::Died), ("b", Reason::Left)] {
        script.provide(provider, mysql(instance));
        // Within its window, and after it, when it comes as somebody new with what it has.
        for seconds in [1, 60] {
            script.provide(provider, mysql(instance));
            let (conn, opened) = script.open("subscriber", &[], None);
            let known = script.require(conn, "db", mysql_query()).add;
            let known = known.iter().map(|endpoint| (endpoint.key(), endpoint.version)).collect();
            script.disconnect(conn);
            script.ask(provider, Method::Withdraw(withdraw(instance, reason))).unwrap();
            script.pass_pinging(seconds * SECOND, &[provider]);
            let (conn, _) = script.open("subscriber", &[], Some(&opened));
            let change = script.require_knowing(conn, "db", mysql_query(), &known);
            assert_eq!(dropped(&change), [(format!("mysql/{instance}").as_str(), reason)], "after {seconds} s");
            script.disconnect(conn);
        }
    }
}
