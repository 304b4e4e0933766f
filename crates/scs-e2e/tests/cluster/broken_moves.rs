//! Moves in the middle of which something breaks: no acknowledged row is lost, there are never two writers, and everything comes together
//! again, moved or not.

use super::ledger::{Ledger, Moved};
use scs_e2e::hosts::Hosts;

/// While it is copied and runs; while the rest is copied and it does not; while the other host starts it.
const PHASES: [&str; 3] = ["while it runs", "copying the rest", "starting on"];

/// The host, of the two, that the ledger is not on.
fn other(host: &str) -> &'static str {
    if host == "h2" { "h3" } else { "h2" }
}

/// What came of a move that was broken: it has happened, or it is said that the ledger is where it was.
fn told_truly(ledger: &Ledger, moved: &Moved, from: &str, to: &str) {
    let host = ledger.proved();
    let expected = if moved.code == 0 { to } else { from };
    assert_eq!(host, expected, "the move ended with {}:\n{}{}", moved.code, moved.said, ledger.words());
}

/// The agent of a host dies outright, and is started again at once.
fn kill_agent(hosts: &Hosts, host: &str) {
    hosts.kill(host, "agent", "KILL");
    hosts.start_agent(host);
}

#[test]
fn agents_that_die_in_any_phase_of_a_move_lose_nothing() {
    let ledger = Ledger::new();
    for (number, phase) in PHASES.iter().enumerate() {
        for source_dies in [true, false] {
            let from = ledger.host();
            let to = other(&from);
            let dies = if source_dies { from.as_str() } else { to };
            let moved = ledger.moves(to, phase, || kill_agent(&ledger.hosts, dies));
            ledger.hosts.wait_until_all_answer();
            told_truly(&ledger, &moved, &from, to);
            // An agent that is back at once is no reason to give up.
            assert_eq!(moved.code, 0, "phase {number}, {dies} died:\n{}{}", moved.said, ledger.words());
        }
    }
    assert_eq!(ledger.runs(), 7, "one container on each host that it was on, and none besides");
}

#[test]
fn data_centres_that_are_cut_from_each_other_and_hosts_that_reboot_in_a_move_lose_nothing() {
    let ledger = Ledger::new();
    let hosts = &ledger.hosts;

    // Where the other data centre is gone while it is copied and while it is to start there, the move waits for it.
    for phase in ["while it runs", "starting on"] {
        let from = ledger.host();
        let to = other(&from);
        let moved = ledger.moves(to, phase, || {
            let before = hosts.all_containers();
            hosts.network().cut("west").expect("it can be cut");
            hosts.wait_until_answers("h3", "no");
            let now = hosts.all_containers();
            // What was to start at that moment may have.
            assert!(before.iter().all(|it| now.contains(it)), "{before:?} ran, {now:?} do{}", ledger.words());
            hosts.network().heal("west").expect("it can be healed");
            hosts.wait_until_all_answer();
        });
        told_truly(&ledger, &moved, &from, to);
    }

    // In peace, a cut stops nothing.
    let _ = ledger.proved();
    let before = hosts.all_containers();
    hosts.network().cut("west").expect("it can be cut");
    hosts.wait_until_answers("h3", "no");
    hosts.network().heal("west").expect("it can be healed");
    hosts.wait_until_all_answer();
    let _ = ledger.proved();
    assert_eq!(hosts.all_containers(), before, "nothing was stopped or started");

    // The target reboots while it is copied to; the source while it is down for the move.
    for (phase, source) in [("while it runs", false), ("copying the rest", true)] {
        let from = ledger.host();
        let to = other(&from);
        let reboots = if source { from.as_str() } else { to };
        let moved = ledger.moves(to, phase, || {
            let host = hosts.host(reboots);
            host.power_off().expect("it can be switched off");
            host.power_on().and_then(|()| host.wait_for_engine()).expect("it can be switched on");
            hosts.start_agent(reboots);
        });
        hosts.wait_until_all_answer();
        told_truly(&ledger, &moved, &from, to);
    }

    // The target's engine dies when it is to start it.
    let from = ledger.host();
    let to = other(&from);
    let moved = ledger.moves(to, "starting on", || {
        let host = hosts.host(to);
        host.kill_engine().expect("it can be killed");
        host.start_engine().and_then(|()| host.wait_for_engine()).expect("it starts again");
    });
    told_truly(&ledger, &moved, &from, to);
}
