//! Who may join, case by case.

use super::rules;
use crate::state::{HostRecord, IssuedRecord, TokenRecord, UsedRecord};
use scs_api::error::Code;
use scs_api::join::{JoiningHost, Purpose};
use scs_api::person::Role;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn for_host(name: Option<&str>, rejoin: bool) -> Purpose {
    Purpose::Host { name: name.map(str::to_owned), labels: [("dc".to_owned(), "west".to_owned())].into(), rejoin }
}

fn token(used: Option<&str>) -> TokenRecord {
    let used = used.map(|it| UsedRecord { by: "host h1".to_owned(), at: now(), request: it.to_owned() });
    TokenRecord { purpose: for_host(None, false), expires: now() + HOUR, by: "owner".to_owned(), used }
}

fn joining(name: &str) -> JoiningHost {
    let labels = BTreeMap::from([("dc".to_owned(), "own".to_owned()), ("zone".to_owned(), "a".to_owned())]);
    JoiningHost { name: name.to_owned(), advertise: "198.51.100.12:9642".to_owned(), labels, cluster: None }
}

fn there(not_after: SystemTime) -> HostRecord {
    HostRecord {
        name: "h2".to_owned(),
        address: "198.51.100.9:9642".to_owned(),
        labels: BTreeMap::from([("rack".to_owned(), "7".to_owned())]),
        drained: true,
        joined: now() - HOUR,
        version: String::new(),
        certificates: vec![IssuedRecord { serial: "01".to_owned(), not_after }],
    }
}

fn host(purpose: &Purpose, joining: &JoiningHost, existing: Option<HostRecord>) -> Result<HostRecord, (Code, String)> {
    rules::host(purpose, joining, existing, "ours", "1.0", now()).map_err(|it| (it.code, it.message))
}

#[test]
fn a_token_is_good_once_and_until_it_expires() {
    let refused = |record, at| rules::token(record, "request", at).expect_err("refused");
    assert!(refused(None, now()).message.starts_with("this server did not make the token"));
    let used = refused(Some(token(Some("another"))), now());
    assert_eq!(used.message, "the token was used by host h1 at 2023-11-14T22:13:20Z, and each is good for once");
    let late = refused(Some(token(None)), now() + HOUR);
    assert_eq!(late.message, "the token expired at 2023-11-14T23:13:20Z; the server's clock says 2023-11-14T23:13:20Z");
    assert!([used, late].iter().all(|it| it.code == Code::Forbidden));
    assert!(rules::token(Some(token(None)), "request", now()).is_ok());
    assert!(rules::token(Some(token(Some("request"))), "request", now()).is_ok(), "its answer was lost");
}

#[test]
fn a_clock_that_is_wrong_by_an_hour_is_told_by_how_much() {
    assert!(rules::clock(now() + Duration::from_secs(120), now()).is_ok());
    let ahead = rules::clock(now() + HOUR, now()).expect_err("refused");
    let words =
        "the clock of this machine is 1 h ahead of the server's: 2023-11-14T23:13:20Z here, 2023-11-14T22:13:20Z there";
    assert_eq!(ahead.message, words);
    let behind = rules::clock(now() - HOUR - Duration::from_secs(180), now()).expect_err("refused");
    assert!(behind.message.starts_with("the clock of this machine is 1 h 3 min behind the server's"), "{behind}");
}

#[test]
fn a_new_host_gets_its_labels_and_those_of_the_token_win() {
    let record = host(&for_host(None, false), &joining("h2"), None).expect("joins");
    let labels: Vec<_> = record.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["dc=west", "zone=a"]);
    assert_eq!((record.address.as_str(), record.drained), ("198.51.100.12:9642", false));
}

#[test]
fn two_agents_never_have_one_name() {
    let alive = || Some(there(now() + HOUR));
    let ended = || Some(there(now() - HOUR));
    let (free, named, again) = (for_host(None, false), for_host(Some("h2"), false), for_host(Some("h2"), true));
    for (purpose, existing) in [(&free, alive()), (&free, ended()), (&named, alive())] {
        let (code, message) = host(purpose, &joining("h2"), existing).expect_err("refused");
        assert_eq!(code, Code::Conflict);
        let words = "there is a host h2 already, at 198.51.100.9:9642, which joined at 2023-11-14T21:13:20Z";
        assert_eq!(message, words);
    }
    for (purpose, existing) in [(&named, ended()), (&again, alive())] {
        let record = host(purpose, &joining("h2"), existing).expect("joins again");
        assert_eq!(record.labels["rack"], "7", "what people gave it stays");
        assert!(record.drained && record.address == "198.51.100.12:9642" && record.joined == now() - HOUR);
    }
}

#[test]
fn another_name_another_cluster_and_a_strange_address_are_refused() {
    let (code, message) = host(&for_host(Some("h3"), false), &joining("h2"), None).expect_err("refused");
    assert_eq!((code, message.as_str()), (Code::Forbidden, "the token is for host h3, and this one calls itself h2"));
    let foreign = JoiningHost { cluster: Some("theirs".to_owned()), ..joining("h2") };
    let (code, message) = host(&for_host(None, false), &foreign, None).expect_err("refused");
    assert_eq!(code, Code::Conflict);
    assert_eq!(message, "host h2 belongs to cluster theirs, and this server is of cluster ours");
    let own = JoiningHost { cluster: Some("ours".to_owned()), ..joining("h2") };
    assert!(host(&for_host(None, false), &own, None).is_ok());
    assert!(host(&for_host(None, false), &joining("H 2"), None).expect_err("refused").1.contains("no name for a host"));
    let person = Purpose::Person { name: "alice".to_owned(), role: Role::Admin, environments: Vec::new() };
    assert!(host(&person, &joining("h2"), None).expect_err("refused").1.contains("for a person, not for a host"));
    for good in ["198.51.100.12:9642", "[2001:db8::1]:9642", "h2.example.org:1"] {
        assert!(rules::address(good).is_ok(), "{good}");
    }
    for bad in ["h2", "h2:0", "h2:x", "0.0.0.0:9642", "[::]:9642", "2001:db8::1:9642", "a b:1", ":9642", "224.0.0.1:1"]
    {
        assert!(rules::address(bad).is_err(), "{bad}");
    }
}

#[test]
fn tokens_that_make_no_sense_are_not_made() {
    let person = |name: &str, role, environments: &[&str]| {
        let environments = environments.iter().map(|it| (*it).to_owned()).collect();
        rules::purpose(&Purpose::Person { name: name.to_owned(), role, environments })
    };
    assert!(person("alice", Role::Admin, &[]).is_ok());
    assert!(person("alice", Role::Deploy, &["dev", "*"]).is_ok());
    assert!(person("alice", Role::Deploy, &[]).expect_err("refused").message.contains("none is named"));
    assert!(person("alice", Role::Read, &["Dev"]).is_err());
    assert!(person("Alice!", Role::Read, &["dev"]).is_err());
    assert!(rules::purpose(&for_host(None, true)).is_err(), "whoever comes again is named");
    assert!(rules::purpose(&for_host(Some("Not a name"), false)).is_err());
}
