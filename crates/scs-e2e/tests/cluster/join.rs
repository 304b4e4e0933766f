//! Hosts join, and what must not get in does not.

use super::shop::shop;
use scs_e2e::hosts::{HOSTS, Hosts, LONG};
use scs_e2e::wait_for;

/// The clock of whoever runs with this is an hour ahead, or a day: what the kernel counts is left alone.
fn clock(ahead: &str) -> Vec<(&'static str, String)> {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    assert!(std::path::Path::new(library).exists(), "package faketime is installed (cargo xtask test sees to it)");
    vec![
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", ahead.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ]
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A host that tries this is refused with these words, and says that nothing was changed.
fn refused(hosts: &Hosts, host: &str, arguments: &[String], environment: &[(&str, &str)], words: &[&str]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = hosts.join_refused(host, &arguments, environment);
    assert!(run.code() != 0 && run.code() != 124, "it did not get in: {}{}", run.shown(), hosts.last_words());
    for word in words {
        assert!(run.stderr().contains(word), "says `{word}`: {}", run.shown());
    }
}

#[test]
fn hosts_join_with_good_tokens_only_and_an_expired_one_comes_back_with_its_containers() {
    let project = shop();
    let hosts = Hosts::new(project.path());
    let once = hosts.host_token(&[]);
    let short = hosts.host_token(&["--valid", "1s"]);

    hosts.join("h1", "east", &once);
    hosts.wait_until_answers("h1", "yes");
    refused(&hosts, "h2", &hosts.joining("h2", "east", &once), &[], &["used by", "h1", "nothing was changed"]);

    let (start, rest) = once.split_at(6);
    let wrong = format!("{start}{}", rest.replacen(&rest[..8], "00000000", 1));
    refused(
        &hosts,
        "h2",
        &hosts.joining("h2", "east", &wrong),
        &[],
        &["did not make the token", "nothing was changed"],
    );
    refused(&hosts, "h2", &hosts.joining("h2", "east", "scs1-what"), &[], &["this is no token"]);

    let expired = hosts.joining("h2", "east", &short);
    wait_for("the short token to expire", LONG, || {
        let arguments: Vec<&str> = expired.iter().map(String::as_str).collect();
        // Until it has expired, a name that is taken keeps it unused.
        let run = hosts.join_refused("h2", &[&arguments[..], &["--name", "h1"]].concat(), &[]);
        if run.stderr().contains("expired at") { Ok(()) } else { Err(run.shown()) }
    });
    refused(&hosts, "h2", &expired, &[], &["the token expired at", "the server's clock says", "nothing was changed"]);

    // Another authority answers than the one that the token is of.
    let (secret, fingerprint) = once.rsplit_once('-').expect("a token ends with a fingerprint");
    let foreign = format!("{secret}-{}", fingerprint.chars().rev().collect::<String>());
    refused(&hosts, "h2", &hosts.joining("h2", "east", &foreign), &[], &["authority"]);

    let second = hosts.host_token(&[]);
    let mut twin = hosts.joining("h2", "east", &second);
    twin.extend(["--name".to_owned(), "h1".to_owned()]);
    refused(&hosts, "h2", &twin, &[], &["there is a host h1 already", "198.51.100.11", "nothing was changed"]);
    let slow = clock("+1h");
    refused(
        &hosts,
        "h2",
        &hosts.joining("h2", "east", &second),
        &borrowed(&slow),
        &["1 h ahead of", "can still be used"],
    );
    // Nothing of all that used the token up, or left anything in the way.
    hosts.join("h2", "east", &second);
    hosts.join("h3", "west", &hosts.host_token(&["h3"]));
    hosts.wait_until_all_answer();
    for (host, center) in HOSTS {
        let inspected = hosts.owner_ok(&["host", "inspect", host]);
        assert!(inspected.contains(&format!("dc={center}")), "{inspected}");
    }

    hosts.context("prod", "ada", "admin", "*", "prod");
    hosts.give_base();
    let _ = hosts.ok(&["up", "-d"]);
    let before = hosts.all_containers();
    assert_eq!(before.len(), 3, "{before:?}");

    // The server of another cluster does not get a host that is in one.
    hosts.kill("h3", "agent", "TERM");
    let theirs = hosts.other_server("h2", &[]);
    let mut elsewhere = hosts.joining("h3", "west", &theirs);
    elsewhere[2] = format!("https://{}", hosts.address("h2"));
    refused(
        &hosts,
        "h3",
        &elsewhere,
        &[],
        &["belongs to the cluster of", "another cluster", "its containers keep running"],
    );

    // A day later, in which no agent ran.
    let tomorrow = clock("+25h");
    hosts.kill("h1", "server", "TERM");
    for host in ["h1", "h2"] {
        hosts.kill(host, "agent", "TERM");
    }
    hosts.start_server_with(&borrowed(&tomorrow));
    refused(
        &hosts,
        "h3",
        &["agent".to_owned()],
        &borrowed(&tomorrow),
        &["certificate", "expired", "containers keep running"],
    );
    // Nor does it get one whose certificate has expired.
    hosts.kill("h2", "server", "TERM");
    elsewhere[4] = hosts.other_server("h2", &borrowed(&tomorrow));
    refused(&hosts, "h3", &elsewhere, &borrowed(&tomorrow), &["belongs to cluster", "its containers keep running"]);

    for (host, center) in HOSTS {
        let token = hosts.host_token(&[host]);
        let arguments = hosts.joining(host, center, &token);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        hosts.start(host, "agent", &arguments, &borrowed(&tomorrow));
    }
    hosts.wait_until_all_answer();
    assert_eq!(hosts.all_containers(), before, "nothing was restarted");
}
