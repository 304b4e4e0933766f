//! Handshakes in memory: who gets in, who is told what, and what is resumed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use scs_pki::{Authority, Expected, Kind, Live, Side, Trouble, rustls::HandshakeKind};
use support::{DAY, World, handshake};

#[test]
fn a_host_gets_in_and_the_server_knows_who_it_is() {
    let world = World::new();
    let (server, client) = (world.server(), world.host("web1"));
    let met = handshake(&client.client(), &server.disco_server(), "localhost").unwrap();
    let identity = met.identity.unwrap();
    assert_eq!(identity.to_string(), "host web1");
    assert_eq!(identity.provide[0].to_string(), "prod/blog");
    assert!(identity.grants() == client.credentials().identity.grants());
}

#[test]
fn whoever_comes_for_the_first_time_knows_the_server_by_its_authority() {
    let (world, other) = (World::new(), World::new());
    let fingerprint = world.server().credentials().fingerprints()[0];
    assert_eq!(world.authority.fingerprint().unwrap(), fingerprint);
    let client = scs_pki::first_contact(fingerprint).unwrap();
    let met = handshake(&client, &world.server().joining_server(), "localhost").unwrap();
    assert_eq!(met.identity, Err(Trouble::Missing { whose: Side::Peer }));
    let refused = handshake(&client, &other.server().joining_server(), "localhost").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Foreign { whose: Side::Peer }));
    let refused = handshake(&client, &world.server().joining_server(), "elsewhere").unwrap_err();
    assert!(matches!(refused.client, Some(Trouble::Name { .. })), "{refused:?}");
    let refused = handshake(&client, &world.server().https_server(), "localhost").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Foreign { whose: Side::Peer }), "without its authority nobody knows it");
    let files = world.files_for("web1", &["localhost"]);
    let host = Live::open(files, None).unwrap();
    let refused = handshake(&client, &host.joining_server(), "localhost").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Purpose { whose: Side::Peer }), "a host cannot pass for it");
}

#[test]
fn a_session_is_resumed_with_a_restarted_server_and_still_says_who_it_is() {
    let world = World::new();
    let client = world.host("web1").client();
    let kind = |server: &Live| {
        let met = handshake(&client, &server.disco_server(), "localhost").unwrap();
        assert_eq!(met.identity.unwrap().to_string(), "host web1");
        met.kind
    };
    assert_eq!(kind(&world.server()), HandshakeKind::Full);
    assert_eq!(kind(&world.server()), HandshakeKind::Resumed, "another process, the same secret");
    assert_eq!(kind(&world.server()), HandshakeKind::Resumed, "each connection brings the next ticket");
}

#[test]
fn nobody_gets_in_by_a_ticket_once_its_authority_is_gone() {
    let mut world = World::new();
    let client = world.host("web1").client();
    handshake(&client, &world.server().disco_server(), "localhost").unwrap();
    world.authority.rotate(SystemTime::now()).unwrap();
    world.authority.retire(true, SystemTime::now()).unwrap();
    let refused = handshake(&client, &world.server().disco_server(), "localhost").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Foreign { whose: Side::Peer }));
}

#[test]
fn a_stranger_is_turned_away_and_both_are_told_why() {
    let (world, other) = (World::new(), World::new());
    let server = world.server();
    // It trusts the server, but the server does not trust it.
    let files = other.files("web1");
    let foreign = support::trusting(&files, &world.authority.trusted());
    let refused = handshake(&foreign, &server.disco_server(), "localhost").unwrap_err();
    assert_eq!(refused.server, Some(Trouble::Foreign { whose: Side::Peer }));
    assert_eq!(refused.client, Some(Trouble::Foreign { whose: Side::Own }));
    let nobody = support::without_certificate(&world.authority.trusted());
    let refused = handshake(&nobody, &server.disco_server(), "localhost").unwrap_err();
    assert_eq!(refused.server, Some(Trouble::Missing { whose: Side::Peer }));
    assert_eq!(refused.client, Some(Trouble::Missing { whose: Side::Own }));
}

#[test]
fn a_certificate_that_has_ended_is_turned_away_and_so_is_one_that_has_not_begun() {
    let world = World::new();
    let server = world.server();
    let now = SystemTime::now();
    for (issued, told) in [(now - 3 * DAY, Trouble::Expired { whose: Side::Peer }), (now + DAY, Trouble::NotYetValid)] {
        let files = world.files_at("late", issued);
        let client = support::trusting(&files, &world.authority.trusted());
        let refused = handshake(&client, &server.disco_server(), "localhost").unwrap_err();
        assert_eq!(refused.server, Some(told));
        assert_eq!(refused.client, Some(Trouble::Expired { whose: Side::Own }));
    }
}

#[test]
fn a_client_wants_the_server_it_asked_for_and_a_host_cannot_pass_for_it() {
    let world = World::new();
    let client = world.host("web1").client();
    let refused = handshake(&client, &world.server().disco_server(), "elsewhere.example.org").unwrap_err();
    let Some(Trouble::Name { wanted, presented }) = refused.client else { panic!("{refused:?}") };
    assert_eq!(wanted, "elsewhere.example.org");
    assert!(presented.contains("localhost"), "{presented}");

    let refused = handshake(&client, &world.host("web2").disco_server(), "localhost").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Purpose { whose: Side::Peer }));
    assert_eq!(refused.server, Some(Trouble::Purpose { whose: Side::Own }));
}

#[test]
fn a_host_is_known_by_its_name_wherever_it_is_and_no_other_passes_for_it() {
    let world = World::new();
    let (server, web2) = (world.server(), world.host("web2"));
    let to = |kind, name: &str| server.https_client(&Expected::Named(kind, name.to_owned())).unwrap();
    let met = handshake(&to(Kind::Host, "web2"), &web2.https_server(), "198.51.100.12").unwrap();
    assert_eq!((met.identity.unwrap().to_string().as_str(), met.kind), ("server disco1", HandshakeKind::Full));
    let met = handshake(&to(Kind::Host, "web2"), &web2.https_server(), "198.51.100.12").unwrap();
    assert_eq!(met.kind, HandshakeKind::Resumed);

    // Also not one that is found where the other was, whose ticket is still there.
    let refused = handshake(&to(Kind::Host, "web2"), &world.host("web3").https_server(), "198.51.100.12").unwrap_err();
    let told = Trouble::Another { wanted: "host web2".to_owned(), presented: "host web3".to_owned() };
    assert_eq!(refused.client.as_ref(), Some(&told));
    assert_eq!(told.to_string(), "the peer is host web3, not host web2");
    assert!(handshake(&to(Kind::Host, "web3"), &web2.https_server(), "198.51.100.12").is_err(), "the ticket is web2's");
    assert!(
        handshake(&to(Kind::Server, "web2"), &web2.https_server(), "198.51.100.12").is_err(),
        "a host is no server"
    );
    let other = World::new();
    let refused = handshake(&to(Kind::Host, "web2"), &other.host("web2").https_server(), "198.51.100.12").unwrap_err();
    assert_eq!(refused.client, Some(Trouble::Foreign { whose: Side::Peer }));
}

#[test]
fn a_connection_for_http_is_no_good_for_discovery() {
    let world = World::new();
    let refused = handshake(&world.host("web1").client(), &world.server().https_server(), "localhost");
    assert!(refused.is_err());
}

#[test]
fn a_new_certificate_is_taken_up_and_one_that_cannot_be_used_is_not() {
    let world = World::new();
    let server = world.server();
    let before = server.credentials().certificate.serial.clone();
    assert!(!server.reload().unwrap(), "nothing has changed");
    world.files("disco1");
    assert!(server.reload().unwrap());
    let after = server.credentials().certificate.serial.clone();
    assert_ne!(after, before);

    std::fs::write(&server.files().certificate, "nonsense").unwrap();
    let refused = server.reload().unwrap_err();
    assert_eq!(refused.code(), "certificate_unusable");
    assert_eq!(server.credentials().certificate.serial, after, "what was used before is used on");
    handshake(&world.host("web1").client(), &server.disco_server(), "localhost").unwrap();
}

#[test]
fn whoever_still_trusts_only_the_older_authority_meets_the_newer_one_in_a_rotation() {
    let mut world = World::new();
    let (old_client, old_server) = (world.host("web1").client(), world.server());
    world.authority.rotate(SystemTime::now()).unwrap();
    let (new_client, new_server) = (world.host("web2").client(), world.server());
    for client in [&old_client, &new_client] {
        for server in [&old_server, &new_server] {
            handshake(client, &server.disco_server(), "localhost").unwrap();
        }
    }
}

#[test]
fn an_authority_opens_again_as_it_was() {
    let world = World::new();
    let again = Authority::open(&world.place.path().join("ca")).unwrap();
    assert_eq!(again.trusted(), world.authority.trusted());
    let left = again.rotation(SystemTime::now()).unwrap().current.not_after;
    assert!(left > SystemTime::now() + Duration::from_secs(9 * 365 * 24 * 3600));
}

#[test]
fn every_code_has_a_page() {
    let whose = Side::Peer;
    let troubles = [
        Trouble::Expired { whose },
        Trouble::NotYetValid,
        Trouble::Foreign { whose },
        Trouble::Missing { whose },
        Trouble::Name { wanted: String::new(), presented: String::new() },
        Trouble::Purpose { whose },
        Trouble::Identity(scs_pki::NotAnIdentity::Missing),
        Trouble::Plain,
        Trouble::Other(String::new()),
    ];
    let unusable = scs_pki::Unusable::Exposed(std::path::PathBuf::new()).code();
    let index = std::fs::read_to_string("../../docs/errors/README.md").unwrap();
    for code in troubles.iter().map(Trouble::code).chain([unusable, "tls_timeout", "not_found"]) {
        let page = std::fs::read_to_string(format!("../../docs/errors/{code}.md")).unwrap_or_default();
        assert!(page.starts_with(&format!("# `{code}`\n")), "{code} has no page");
        assert!(index.contains(&format!("[`{code}`]({code}.md)")), "{code} is not in the index");
    }
}
