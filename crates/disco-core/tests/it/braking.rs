//! Many hosts that fall silent at once are kept, marked, and given up slowly.

use disco_core::{Alarm, Conn};
use disco_proto::{Reason, message::Opened};

use crate::script::{SECOND, Script, added, dropped, mysql, mysql_query};

/// So many hosts, each with one endpoint named after it.
fn hosts(script: &mut Script, count: usize) -> Vec<(Conn, Opened)> {
    let host = |number| {
        let (conn, opened) = script.open(&format!("host{number:02}"), &[], None);
        script.provide(conn, mysql(&format!("{number:02}")));
        (conn, opened)
    };
    (0..count).map(host).collect()
}

fn conns(hosts: &[(Conn, Opened)]) -> Vec<Conn> {
    hosts.iter().map(|(conn, _)| *conn).collect()
}

fn suspects(script: &Script) -> usize {
    script.core.stats().provisions.suspect
}

fn left(script: &Script) -> usize {
    script.core.provisions().len()
}

#[test]
fn one_silent_host_goes_however_few_there_are() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 2);
    script.pass_pinging(4 * SECOND, &conns(&hosts[..1]));
    assert_eq!((left(&script), script.alarms.len()), (1, 0));
}

#[test]
fn a_few_of_many_go_as_well() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 20);
    script.pass_pinging(4 * SECOND, &conns(&hosts[3..]));
    assert_eq!((left(&script), script.alarms.len()), (17, 0));
}

#[test]
fn more_than_a_few_are_kept_as_suspect_and_cost_nothing_where_others_are_live() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 10);
    let subscriber = script.client("subscriber");
    script.require(subscriber, "db", mysql_query());
    let mut alive = conns(&hosts[2..]);
    alive.push(subscriber);
    script.pass_pinging(4 * SECOND, &alive);
    assert_eq!((left(&script), suspects(&script)), (10, 2), "{:?} {:?}", script.alarms, script.core.stats());
    assert_eq!(script.alarms, [Alarm::BrakeOn { overdue: 2, hosts: 10 }]);
    let gone: Vec<_> = std::iter::from_fn(|| script.changed(subscriber)).flat_map(|change| change.drop).collect();
    assert_eq!(gone.len(), 2);
    assert!(gone.iter().all(|gone| gone.reason == Reason::Expired));
}

#[test]
fn when_everyone_falls_silent_subscribers_keep_what_they_have() {
    let mut script = Script::new();
    let _hosts = hosts(&mut script, 4);
    let subscriber = script.client("subscriber");
    assert_eq!(script.require(subscriber, "db", mysql_query()).add.len(), 4);
    script.pass_pinging(4 * SECOND, &[subscriber]);
    let changes: Vec<_> = std::iter::from_fn(|| script.changed(subscriber)).collect();
    assert!(changes.iter().all(|change| change.drop.is_empty() && change.add.is_empty()));
    let marked = changes.iter().flat_map(|change| &change.update).filter(|endpoint| endpoint.suspect).count();
    assert_eq!(marked, 4);
}

#[test]
fn at_least_one_and_at_most_fifteen_percent_go_in_a_window_and_the_rest_when_the_hold_is_over() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 40);
    let alive = conns(&hosts[20..]);
    script.pass_pinging(4 * SECOND, &alive);
    assert_eq!((left(&script), suspects(&script)), (40, 20));
    // Of 40, 34 and 29 hosts: counted anew after every window.
    for expected in [34, 29, 25, 22] {
        script.pass_pinging(30 * SECOND, &alive);
        assert_eq!(left(&script), expected);
    }
    // Two of 22 are no more than 15 %.
    script.pass_pinging(30 * SECOND, &alive);
    assert_eq!((left(&script), suspects(&script)), (20, 0));
    assert_eq!(script.alarms.last(), Some(&Alarm::BrakeOff { evicted: 20, returned: 0 }));

    let mut script = Script::with(|options| {
        options.hold = std::time::Duration::ZERO;
        options.brake.longest = 45 * SECOND;
    });
    let hosts = self::hosts(&mut script, 3);
    let alive = conns(&hosts[2..]);
    script.pass_pinging(33 * SECOND, &alive);
    assert_eq!(left(&script), 2, "one of three, although that is more than 15 %");
    script.pass_pinging(30 * SECOND, &alive);
    assert_eq!((left(&script), suspects(&script)), (1, 0));
}

#[test]
fn whoever_comes_back_is_no_longer_suspect() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 4);
    let subscriber = script.client("subscriber");
    script.require(subscriber, "db", mysql_query());
    script.pass_pinging(4 * SECOND, &[subscriber]);
    while script.changed(subscriber).is_some() {}
    // One resumes its session, one lost its state and starts another.
    let (first, resumed) = script.open("host00", &[], Some(&hosts[0].1));
    assert!(resumed.resumed);
    let change = script.changed(subscriber).unwrap();
    assert_eq!((change.update.len(), change.drop.len()), (1, 3), "what is live replaces what is suspect");
    let second = script.client("host01");
    script.provide(second, mysql("01"));
    assert_eq!(added(&script.changed(subscriber).unwrap()), ["01"]);
    assert_eq!(suspects(&script), 2);
    script.pass_pinging(100 * SECOND, &[first, second, subscriber]);
    assert_eq!((left(&script), suspects(&script)), (2, 0));
    assert_eq!(script.alarms.last(), Some(&Alarm::BrakeOff { evicted: 2, returned: 2 }));
}

#[test]
fn connections_that_end_together_count_as_silence() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 5);
    let subscriber = script.client("subscriber");
    for (conn, _) in &hosts[1..] {
        script.disconnect(*conn);
    }
    script.pass_pinging(4 * SECOND, &[hosts[0].0, subscriber]);
    assert_eq!((left(&script), suspects(&script)), (5, 4));
}

#[test]
fn those_who_said_that_they_leave_are_in_neither_number() {
    let mut script = Script::new();
    let hosts = hosts(&mut script, 10);
    for (conn, _) in &hosts[1..9] {
        script.ask(*conn, disco_proto::Method::Close).unwrap();
    }
    script.pass_pinging(4 * SECOND, &[hosts[9].0]);
    assert_eq!((left(&script), script.alarms.len()), (1, 0));
    let subscriber = script.client("subscriber");
    assert_eq!(dropped(&script.require(subscriber, "db", mysql_query())), []);
}
